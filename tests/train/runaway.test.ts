// A run whose policy runs away, since its learning rate is a hundred times too high.
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { train } from '#reanchor/driver/index.js';
import { parseRecipe } from '#reanchor/recipe/index.js';
import { type RunEvent, readEvents } from '#reanchor/runs/index.js';
import { interruptedRun, outcome } from '../support/resuming.js';
import { tinyModel, tinyPairs } from '../support/training.js';

const folder = mkdtempSync(join(tmpdir(), 'reanchor-runaway-'));
afterAll(() => rmSync(folder, { recursive: true }));
const recipe = (lr: string, ...set: string[]) =>
  parseRecipe(
    `{ model: ${tinyModel}, method: dpo, reference: { update: soft, alpha: 0.6 }, batch: { size: 4 }, steps: 60, threads: 1,
       optimizer: { lr: ${lr} }, schedule: { type: constant }, data: { train: ${tinyPairs}, maxLength: 64, limit: 16 } }`,
    { file: 'test.yaml', set, env: {} },
  );
const eventsOf = (out: string) => readEvents(join(out, 'events.jsonl')).events;
const told = (events: RunEvent[]) =>
  events.flatMap((event) => (event.type === 'warning' && event.message.includes('runs away') ? [event.message] : []));

/** A run that is only told of it, and the step in which it is. */
const whole = join(folder, 'whole');
let step: number;
beforeAll(async () => {
  await train({ recipe: recipe('0.1'), out: whole, command: [] });
  step = Number(/^the policy runs away in step (\d+): /.exec(told(eventsOf(whole))[0]!)![1]);
});

test('is told of once, after the step in which it is seen, and the run goes on', () => {
  const events = eventsOf(whole);
  expect(told(events)).toEqual([expect.stringMatching(/the gradient norm has grown from .* Lower optimizer\.lr/)]);
  expect(step % 10).toBe(0);
  const at = events.findIndex((event) => event.type === 'warning' && event.message.includes('runs away'));
  expect(events.slice(0, at).findLast(({ type }) => type === 'step')).toMatchObject({ step });
  expect(events.at(-1)).toMatchObject({ type: 'end', steps: 60 });
});

test('one that is interrupted in the middle of a window finds the same in the same step', async () => {
  const stopAt = new Set([15, step - 3, step + 1]);
  const out = join(folder, 'interrupted');
  await interruptedRun(recipe('0.1'), (event) => event.type === 'step' && stopAt.delete(event.step), out);
  expect(stopAt.size).toBe(0);
  expect(outcome(out)).toEqual(outcome(whole));
});

test('onRunaway: stop ends the run with a checkpoint beside those before, from which warn goes on to the same bits', async () => {
  const out = join(folder, 'stopped');
  const checkpoints = 'checkpoint={ every: 9, keep: 2 }';
  const stopped = train({ recipe: recipe('0.1', 'onRunaway=stop', checkpoints), out, command: ['test'] });
  await expect(stopped).rejects.toThrow(
    new RegExp(`runs away in step ${step}: .*stopped with a checkpoint.*--resume and onRunaway: warn`),
  );
  const last = 9 * Math.floor(step / 9);
  const names = [last - 9, last, step].map((n) => `step-${String(n).padStart(6, '0')}`);
  expect(readdirSync(join(out, 'checkpoints')).sort()).toEqual(names);
  expect(told(eventsOf(out))).toEqual([]);
  expect(eventsOf(out).at(-1)).toMatchObject({ type: 'failed', step });

  const again = { out, command: ['test'], resume: true };
  await expect(train({ recipe: recipe('0.1', 'onRunaway=stop', checkpoints), ...again })).rejects.toThrow(
    new RegExp(`had run away by step ${step}`),
  );
  await train({ recipe: recipe('0.1', checkpoints), ...again });
  expect(outcome(out).weights).toBe(outcome(whole).weights);
});

test('a rate that is not too high is not told of', async () => {
  const out = join(folder, 'calm');
  await train({ recipe: recipe('1.0e-3', 'onRunaway=stop'), out, command: [] });
  expect(told(eventsOf(out))).toEqual([]);
});
