import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeEvent, eventSchema, type RunEvent } from '../runs/index.js';
import { EventScanner, type ScanSink } from './event-scanner.js';

const time = '2026-01-02T03:04:05.678Z';

/** Everything that a scanner hands over, as events again. */
function scan(text: string, pieces: number[] = []) {
  const scanner = new EventScanner();
  const events: Record<string, unknown>[] = [];
  const bad: number[] = [];
  let metrics: Record<string, number> = {};
  const sink: ScanSink = {
    begin(type, step, begin, end) {
      metrics = {};
      events.push({ type, step, metrics, begin, end });
      return true;
    },
    metric: (metric, value) => {
      metrics[scanner.names[metric]!] = value;
    },
    reference: (line, begin, end) => events.push({ type: 'reference', ...line, begin, end }),
    event: (event) => events.push({ ...event }),
    bad: (begin) => bad.push(begin),
  };
  const bytes = Buffer.from(text);
  let done = 0;
  for (const end of [...pieces.filter((piece) => piece < bytes.length).sort((a, b) => a - b), bytes.length]) {
    if (end > done) done += scanner.scan(bytes.subarray(done, end), done, sink);
  }
  return { events, bad, time: scanner.time, rest: text.length - Buffer.from(text).subarray(0, done).toString().length };
}

/** The same from JSON.parse. */
function expected(text: string) {
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => eventSchema.decode(JSON.parse(line)))
    .map((event): Record<string, unknown> => {
      if (event.type === 'step' || event.type === 'evaluation') {
        return { type: event.type, step: event.step, metrics: event.metrics };
      }
      if (event.type !== 'reference') return event;
      const { time: _, ...line } = { distanceBefore: Number.NaN, distanceAfter: Number.NaN, ...event };
      return line;
    });
}

const withoutPlaces = (events: Record<string, unknown>[]) => events.map(({ begin: _, end: __, ...event }) => event);

/** Equal, but for the last digits of numbers. */
function expectSame(actual: unknown, wanted: unknown): void {
  if (typeof wanted === 'number' && Number.isFinite(wanted)) {
    expect(Math.abs((actual as number) - wanted)).toBeLessThanOrEqual(4e-15 * Math.abs(wanted));
  } else if (typeof wanted === 'object' && wanted !== null) {
    expect(Object.keys(actual as object).sort()).toEqual(Object.keys(wanted).sort());
    for (const [key, value] of Object.entries(wanted)) expectSame((actual as Record<string, unknown>)[key], value);
  } else expect(actual).toEqual(wanted);
}

const number = fc.oneof(
  fc.double({ noDefaultInfinity: true, noNaN: true }),
  fc.double(),
  fc.float(),
  fc.integer(),
  fc.double({ min: -1, max: 1, noNaN: true }),
  fc.constantFrom(0, -0, 1, 1e-7, 5e-324, Number.MAX_VALUE, 0.1 + 0.2, 123456789012345680, 1e21, 2 ** 53),
);
const name = fc.oneof(
  fc.constantFrom('loss', 'rewards/chosen', 'logps/rejected', 'logps/chosen', 'grad_norm', 'a', ''),
  fc.string({ unit: 'grapheme', maxLength: 12 }).filter((text) => text !== '__proto__'),
);
const metrics = fc.dictionary(name, number, { maxKeys: 8, noNullPrototype: true });
const step = fc.nat(2_000_000);
const event: fc.Arbitrary<RunEvent> = fc.oneof(
  fc.record({
    time: fc.constant(time),
    type: fc.constant('step' as const),
    step,
    epoch: fc.double({ min: 0, max: 9, noNaN: true }),
    metrics,
  }),
  fc.record({ time: fc.constant(time), type: fc.constant('evaluation' as const), step, metrics }),
  fc.record(
    {
      time: fc.constant(time),
      type: fc.constant('reference' as const),
      step,
      version: step,
      update: fc.constantFrom('soft', 'hard', 'mixed', 'plateau'),
      share: fc.double({ min: 0, max: 1, noNaN: true }),
      distanceBefore: number,
      distanceAfter: number,
    },
    { requiredKeys: ['time', 'type', 'step', 'version', 'update', 'share'] },
  ),
  fc.record({
    time: fc.constant(time),
    type: fc.constant('warning' as const),
    message: fc.string({ unit: 'grapheme' }),
  }),
);

describe('scanning events', () => {
  it('finds what JSON.parse finds, wherever the bytes are cut', () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 12 }), fc.array(fc.nat(4000), { maxLength: 4 }), (events, pieces) => {
        const text = events.map((one) => `${encodeEvent(one)}\n`).join('');
        const found = scan(text, pieces);
        expect(found.bad).toEqual([]);
        expect(found.rest).toBe(0);
        expectSame(withoutPlaces(found.events), expected(text));
        if (events.length > 0) expect(found.time).toBe(time);
      }),
      { numRuns: 300 },
    );
  });

  it('reads lines in another form too: spaces, another order of keys, escapes', () => {
    const lines = [
      `{ "type": "step", "time": "${time}", "epoch": 1, "step": 7, "metrics": { "loss": 1.5 } }`,
      `{"time":"${time}","type":"step","step":8,"epoch":1,"metrics":{"lo\\u0073s":2,"x":3}}`,
      `{"time":"2026-01-02T03:04:05Z","type":"step","step":9,"epoch":1,"metrics":{"loss":"NaN"}}`,
    ];
    const text = `${lines.join('\n')}\n`;
    const { events, bad } = scan(text);
    expect(bad).toEqual([]);
    expectSame(withoutPlaces(events), expected(text));
  });

  it('says where each line is, and leaves the last one until it is whole', () => {
    const line = encodeEvent({ time, type: 'step', step: 1, epoch: 0.5, metrics: { loss: 1 } });
    const { events, rest } = scan(`${line}\n${line}\n${line}`);
    expect(events.map(({ begin, end }) => [begin, end])).toEqual([
      [0, line.length + 1],
      [line.length + 1, 2 * line.length + 2],
    ]);
    expect(rest).toBe(line.length);
  });

  it('counts what is no event, and goes on', () => {
    const line = encodeEvent({ time, type: 'step', step: 1, epoch: 0.5, metrics: { loss: 1 } });
    const broken = [
      'not JSON',
      '{"time":"x"}',
      line.replace('"loss":1', '"loss":'),
      line.replace('"loss":1', '"loss":1e'),
      line.replace('}}', '}'),
      line.replace('"step":1', '"step":-'),
      line.replace('"step":1', '"step":-1'),
      line.replace('"step":1', '"step":1e999'),
      line.replace('"step":1', '"step":1.5'),
      `${line.slice(0, 40)}`,
    ];
    const { events, bad } = scan(`${broken.map((text) => `${text}\n${line}\n`).join('')}\n\n`);
    expect(events).toHaveLength(broken.length);
    expect(bad).toHaveLength(broken.length);
  });
});
