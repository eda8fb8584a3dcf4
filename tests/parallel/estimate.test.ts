// What processes hold and send, by measure, beside what is said of it beforehand.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { isOfGradients, rests } from '../support/measured-group.js';
import { MeasuredRuns, soft } from '../support/measured-runs.js';

let runs: MeasuredRuns;
beforeAll(async () => {
  runs = await MeasuredRuns.start();
});
afterAll(() => runs[Symbol.asyncDispose]());

test.each(['optimizer', 'gradients', 'parameters'])('shard: %s holds the same after every step', async (shard) => {
  for (const { calls } of await runs.measure(runs.recipe(`parallel: { shard: ${shard} }`))) {
    const [first, second, ...more] = rests(calls);
    expect(more).toEqual([]);
    expect(second! - first!).toBeLessThan(0.01 * runs.parameters);
    // On both processes 16 bytes of each parameter.
    if (shard === 'parameters') expect(Math.abs(first! / (8 * runs.parameters) - 1)).toBeLessThan(0.02);
  }
});

test('shard: gradients never holds all of them', async () => {
  // A step of one micro-batch: two blocks at most are whole at once, one that is made and one that is being sent.
  const recipe = runs.recipe('parallel: { shard: gradients }').replace('PerMicroBatch: 100', 'PerMicroBatch: 10000');
  for (const { calls } of await runs.measure(recipe)) {
    const [rest] = rests(calls);
    const most = Math.max(...calls.filter(isOfGradients).map(({ held }) => held));
    // A slice of all, 2 bytes a parameter; what is whole; activations.
    expect(most - rest!).toBeLessThan(5 * runs.parameters);
  }
});

test.each([
  ['none', 'fp32', 'dpo', soft, 100, '', ''],
  ['parameters', 'fp32', 'dpo', soft, 10_000, ', replicas: 2', ''],
  ['parameters', 'fp32', 'dpo', soft, 10_000, '', 'adapter: { r: 8 }'],
] as const)('%s: %s, %s, %s, %s tokens%s, %s: sent and held as estimated', async (...run) => {
  await runs.expectAsEstimated(run);
});
