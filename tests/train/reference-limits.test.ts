// Whole runs whose reference waits for something, or has to stop: what events.jsonl says of it.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { train } from '#reanchor/driver/index.js';
import { parseRecipe } from '#reanchor/recipe/index.js';
import { type RunEvent, readEvents } from '#reanchor/runs/index.js';
import { tinyModel, tinyPairs } from '../support/training.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'reanchor-limits-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** The events of a run of ten steps with this reference. */
async function eventsOf(name: string, reference: string, ...set: string[]) {
  const recipe = parseRecipe(
    `{ model: ${tinyModel}, method: dpo, reference: ${reference}, batch: { size: 8 }, optimizer: { lr: 3.0e-3 }, steps: 10,
       data: { train: ${tinyPairs}, maxLength: 96 } }`,
    { file: 'test.yaml', set, env: {} },
  );
  const out = join(folder, name);
  await train({ recipe, out, command: [] });
  const { events } = readEvents(join(out, 'events.jsonl'));
  const ofType = <T extends RunEvent['type']>(type: T) =>
    events.filter((event): event is Extract<RunEvent, { type: T }> => event.type === type);
  const steps = ofType('step').map(({ metrics }) => metrics);
  expect(steps.length).toBe(10);
  expect(events.at(-1)).toMatchObject({ type: 'end', steps: 10 });
  return { steps, updates: ofType('reference'), warnings: ofType('warning').map(({ message }) => message) };
}

test('a reference that has gone too far from the initial policy stays there, and the run goes on', async () => {
  const free = await eventsOf('free', '{ update: soft, alpha: 0.5 }');
  expect(free.updates.map(({ step }) => step)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);

  const measured = await eventsOf('measured', '{ update: soft, alpha: 0.5, maxDivergence: 1000 }');
  const divergences = measured.steps.map((metrics) => metrics['reference/divergence']!);
  expect(divergences[0]).toBe(0);
  expect(measured.steps.map(({ loss }) => loss)).toEqual(free.steps.map(({ loss }) => loss));

  // A cap that the reference of step 5 exceeds and those before do not.
  const cap = (Math.max(...divergences.slice(0, 4)) + divergences[4]!) / 2;
  expect(divergences[4]).toBeGreaterThan(cap);
  const capped = await eventsOf('capped', `{ update: soft, alpha: 0.5, maxDivergence: ${cap} }`);
  expect(capped.updates.map(({ step, version }) => [step, version])).toEqual([
    [1, 1],
    [2, 2],
    [3, 3],
    [4, 4],
  ]);
  expect(capped.steps.map((metrics) => metrics['reference/version'])).toEqual([1, 2, 3, 4, 4, 4, 4, 4, 4, 4]);
  expect(capped.warnings.filter((message) => message.includes('reference.maxDivergence'))).toEqual([
    expect.stringMatching(/^in step 5 the reference is .* nats per token away .* it stays where it is from here on$/),
  ]);
  // Up to the cap the run is the free one; then the policy moves on alone.
  const losses = (run: typeof free) => run.steps.map(({ loss }) => loss!);
  expect(losses(capped).slice(0, 5)).toEqual(losses(free).slice(0, 5));
  expect(losses(capped).slice(5)).not.toEqual(losses(free).slice(5));
  const distances = capped.steps.map((metrics) => metrics['reference/distance']!);
  for (let i = 5; i < 10; i++) expect(distances[i]).toBeGreaterThan(distances[i - 1]!);
});

test('a plateau of the margin makes the reference the policy, and resetOptimizer begins the optimizer anew', async () => {
  // No mean of a margin gains 1000: stalled as soon as two values are known, then two more after each update.
  const reference = (reset: boolean) =>
    `{ update: plateau, metric: margin, patience: 1, minGain: 1000, startAfter: 2, resetOptimizer: ${reset} }`;
  const kept = await eventsOf('kept', reference(false));
  const reset = await eventsOf('reset', reference(true));
  for (const { updates, steps } of [kept, reset]) {
    expect(updates.map(({ step }) => step)).toEqual([3, 5, 7, 9]);
    expect(updates).toMatchObject([1, 2, 3, 4].map((version) => ({ version, update: 'plateau', share: 1 })));
    for (const { distanceAfter } of updates) expect(distanceAfter).toBe(0);
    // The step after an update has the loss and the margin of equal models.
    for (const i of [0, 3, 5, 7, 9]) {
      expect(steps[i]!.loss).toBeCloseTo(Math.LN2, 6);
      expect(steps[i]!['rewards/margins']).toBeCloseTo(0, 6);
    }
  }
  const distance = (run: typeof kept, i: number) => run.steps[i]!['reference/distance']!;
  expect(distance(reset, 1)).toBe(distance(kept, 1));
  // The first step of an optimizer without memory moves every parameter by the learning rate, here 0.7 of the first
  // one.
  expect(distance(reset, 3)).toBeGreaterThan(1.2 * distance(kept, 3));
  expect(distance(reset, 3) / distance(reset, 0)).toBeCloseTo(0.7, 1);
});
