import { spawnSync } from 'node:child_process';
import { appendFileSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FormatError, UserError } from '../errors.js';
import { EventWriter } from './event-writer.js';
import { type NewRunEvent, readEvents } from './events.js';

const newFile = () => join(mkdtempSync(join(tmpdir(), 'events-')), 'events.jsonl');
const all: NewRunEvent[] = [
  { type: 'start', steps: 10, rows: 80, validationRows: 8, parameters: 1000, referenceUpdates: 3 },
  { type: 'skipped', reason: 'identical pair', file: 'a.jsonl', line: 3, index: 2 },
  { type: 'evaluation', step: 0, metrics: { 'rewards/accuracies': 0 } },
  { type: 'step', step: 1, epoch: 0.1, metrics: { loss: Math.LN2, grad_norm: 3.25, 'reference/distance': 0 } },
  { type: 'reference', step: 1, version: 1, update: 'soft', share: 0.6, distanceBefore: 1e-3, distanceAfter: 4e-4 },
  { type: 'reference', step: 1, version: 2, update: 'hard', share: 1 },
  { type: 'samples', step: 1, samples: [{ prompt: 'a', completion: ' b\n' }] },
  { type: 'warning', message: 'line\u2028separator and "quotes"\n' },
  { type: 'saved', folder: 'run/final' },
  { type: 'end', steps: 1, seconds: 0.5 },
];

function write(path: string, events: NewRunEvent[]) {
  using writer = new EventWriter(path);
  return events.map((event) => writer.write(event));
}

describe('events', () => {
  it('of every type come back as they were written, one line each', () => {
    const path = newFile();
    const written = write(path, all);
    expect(readEvents(path)).toEqual({ events: written, tornLine: undefined });
    expect(readFileSync(path, 'utf8').split('\n')).toHaveLength(all.length + 1);
    expect(written.every(({ time }) => Math.abs(Date.parse(time) - Date.now()) < 60_000)).toBe(true);
  });

  it('are in the file as soon as they are written', () => {
    const path = newFile();
    using writer = new EventWriter(path);
    writer.write(all[0]!);
    expect(readEvents(path).events).toHaveLength(1);
  });

  it('are added to those of a file that exists', () => {
    const path = newFile();
    write(path, all);
    write(path, all);
    expect(readEvents(path).events).toHaveLength(2 * all.length);
  });

  it('keep NaN and the infinities, as strings in the file', () => {
    const path = newFile();
    const metrics = { loss: Number.NaN, grad_norm: Number.POSITIVE_INFINITY, low: Number.NEGATIVE_INFINITY };
    write(path, [{ type: 'step', step: 1, epoch: 1, metrics }]);
    expect(readFileSync(path, 'utf8')).toContain('"metrics":{"loss":"NaN","grad_norm":"Infinity","low":"-Infinity"}');
    expect(readEvents(path).events[0]).toMatchObject({ metrics });
  });

  it('keep every number to the last bit', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ noNaN: false }), { minLength: 1 }), (values) => {
        const path = newFile();
        const metrics = Object.fromEntries(values.map((value, i) => [`m${i}`, value + 0]));
        write(path, [{ type: 'evaluation', step: 0, metrics }]);
        expect(readEvents(path).events[0]).toMatchObject({ metrics });
      }),
      { numRuns: 50, seed: 1 },
    );
  });

  it('that the schema does not know are refused when written', () => {
    using writer = new EventWriter(newFile());
    expect(() => writer.write({ type: 'step', step: -1, epoch: 0, metrics: {} })).toThrow();
    expect(() => writer.write({ type: 'nonsense' } as unknown as NewRunEvent)).toThrow();
    expect(readEvents(writer.path).events).toEqual([]);
  });

  it('read from a file whose writer was cut off stop at the last whole line, and the result says so', () => {
    const path = newFile();
    const written = write(path, all);
    appendFileSync(path, '{"time":"2026-01-01T00:00:00.000Z","type":"st');
    expect(readEvents(path)).toEqual({ events: written, tornLine: { line: all.length + 1, bytes: 45 } });
  });

  it('that are broken in the middle of a file are an error with their line', () => {
    const path = newFile();
    write(path, all);
    const lines = readFileSync(path, 'utf8').split('\n');
    writeFileSync(path, [lines[0], '{"type":', ...lines.slice(2)].join('\n'));
    expect(() => readEvents(path)).toThrow(FormatError);
    expect(() => readEvents(path)).toThrow(`${path}:2: not JSON`);
    writeFileSync(path, '{"type":"start"}\n');
    expect(() => readEvents(path)).toThrow(`${path}:1: not an event of a run`);
  });

  it('cannot be written or read where there is no folder', () => {
    const path = join(newFile(), 'x', 'events.jsonl');
    expect(() => new EventWriter(path)).toThrow(UserError);
    expect(() => readEvents(path)).toThrow(UserError);
  });

  it.skipIf(process.platform === 'win32')('are not written into a pipe that nobody reads', () => {
    const path = newFile();
    spawnSync('mkfifo', [path]);
    expect(() => new EventWriter(path)).toThrow(/events\.jsonl cannot be written/);
  });

  it.skipIf(process.platform !== 'linux')('on a full disk end with an error that says what is safe', () => {
    // Every write to /dev/full fails with ENOSPC.
    using writer = new EventWriter('/dev/full');
    expect(() => writer.write(all[0]!)).toThrow(
      /the disk is full \(ENOSPC\); 0 events up to step 0 are safely written, and no model yet; free space/,
    );
  });
});
