import { appendFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { ManualClock } from '../../../../tests/support/manual-clock.js';
import { encodeEvent } from '../runs/index.js';
import type { RunPatch, RunState } from './api.js';
import { sendFeeds } from './feed.js';
import { Library } from './library.js';
import { RunFeed } from './run-feed.js';
import { ServedFolder } from './served-folder.js';
import { parsed } from './testing/messages.js';

const time = '2026-01-02T03:04:05.678Z';
const step = (step: number) =>
  `${encodeEvent({ time, type: 'step', step, epoch: step / 100, metrics: { loss: 1 / step, 'rewards/margins': step } })}\n`;

let root: string;
let events: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'watch-'));
  mkdirSync(join(root, 'run'));
  writeFileSync(join(root, 'run/run.json'), '{}');
  events = join(root, 'run/events.jsonl');
});

/** Follows the run until `enough` of what was sent; `onSent` hears each message. */
async function follow(onSent: (sent: [string, unknown][]) => void, enough: number) {
  const library = new Library(await ServedFolder.at(root));
  const stop = new AbortController();
  const sent: [string, unknown][] = [];
  // Waits between looks are over at once.
  const feed = new RunFeed(library, 'run', new ManualClock(5000));
  await sendFeeds([feed], stop.signal, async (message) => {
    sent.push(parsed(message));
    onSent(sent);
    if (sent.length >= enough) stop.abort();
  });
  return sent;
}

test('a small run is sent whole, then what has come since, then whole again when it was replaced', async () => {
  writeFileSync(events, step(1) + step(2));
  const sent = await follow(({ length }) => {
    if (length === 1) appendFileSync(events, step(3) + step(4).slice(0, 30));
    if (length === 2)
      appendFileSync(events, `${step(4).slice(30)}${encodeEvent({ time, type: 'warning', message: 'x' })}\n`);
    if (length === 3) writeFileSync(events, step(9));
  }, 4);
  expect(sent.map(([name]) => name)).toEqual(['state', 'patch', 'patch', 'state']);
  const [first, second, third, fourth] = sent.map(([, data]) => data) as [RunState, RunPatch, RunPatch, RunState];
  expect([first.steps.steps, first.read, first.generation]).toEqual([[1, 2], 1, 0]);
  expect([second.steps.steps, second.log]).toEqual([[2, 3], undefined]);
  expect([third.steps.steps, third.log!.warnings]).toEqual([[3, 4], [{ time, message: 'x' }]]);
  expect([fourth.steps.steps, fourth.generation]).toEqual([[9], 1]);
});

test('a large run is sketched first and says so, then sent in full', async () => {
  const total = 160_000;
  writeFileSync(events, Array.from({ length: total }, (_, i) => step(i + 1)).join(''));
  const sent = await follow(() => {}, 2);
  const [sketch, whole] = sent.map(([, data]) => data) as [RunState, RunState];
  expect(sketch.read).toBe(0);
  expect(sketch.steps.steps.at(-1)).toBe(total);
  expect(sketch.steps.steps.length).toBeGreaterThan(100);
  expect(whole.read).toBe(1);
  expect(whole.summary.step).toBe(total);
  const { min, max } = whole.steps.metrics['rewards/margins']!;
  expect([min![0], max!.at(-1)]).toEqual([1, total]);
});

test('a run that is gone is a problem told once, and comes back', async () => {
  writeFileSync(events, step(1));
  rmSync(join(root, 'run'), { recursive: true });
  const sent = await follow(({ length }) => {
    if (length > 1) return;
    mkdirSync(join(root, 'run'));
    writeFileSync(join(root, 'run/run.json'), '{}');
    writeFileSync(events, step(5));
  }, 2);
  expect(sent[0]).toEqual(['problem', { id: 'run', message: 'no run is named "run"' }]);
  expect((sent[1]![1] as RunState).steps.steps).toEqual([5]);
});

test('a file rewritten in its place is sent whole, with nothing of what it was, whatever its length', async () => {
  const lossOf = (loss: string, steps: number) =>
    Array.from({ length: steps }, (_, i) => step(i + 1).replace(/"loss":[^,]+/, `"loss":${loss}`)).join('');
  writeFileSync(events, lossOf('0.25', 20));
  const sent = await follow(({ length }) => {
    if (length === 1) writeFileSync(events, lossOf('0.75', 20));
    if (length === 2) writeFileSync(events, lossOf('0.50', 40));
  }, 3);
  const states = sent.map(([, data]) => data as RunState);
  expect(sent.map(([name]) => name)).toEqual(['state', 'state', 'state']);
  expect(
    states.map(({ steps, generation }) => [new Set(steps.metrics.loss!.mean), steps.steps.length, generation]),
  ).toEqual([
    [new Set([0.25]), 20, 0],
    [new Set([0.75]), 20, 1],
    [new Set([0.5]), 40, 2],
  ]);
});

test('a run.json that is written again is told', async () => {
  writeFileSync(events, step(1));
  const sent = await follow(({ length }) => {
    if (length === 1) writeFileSync(join(root, 'run/run.json'), '[]');
  }, 2);
  const problems = sent.map(([, data]) => (data as RunState).summary.problem);
  expect(new Set(problems).size).toBe(2);
});
