// As estimate.test.ts, in all modes.
import { afterAll, beforeAll, test } from 'vitest';
import { shardModes } from '#reanchor/estimate/index.js';
import { cached, type EstimatedRun, MeasuredRuns, soft } from '../support/measured-runs.js';

let runs: MeasuredRuns;
beforeAll(async () => {
  runs = await MeasuredRuns.start();
});
afterAll(() => runs[Symbol.asyncDispose]());

test.each<EstimatedRun>([
  ...shardModes.map((shard) => [shard, 'bf16', 'dpo', soft, 100, '', ''] as const),
  ...(['none', 'gradients'] as const).map((shard) => [shard, 'bf16', 'kto', soft, 10_000, '', ''] as const),
  ['parameters', 'fp32', 'dpo', cached, 10_000, '', ''],
  ['optimizer', 'fp32', 'dpo', cached, 10_000, '', ''],
  ['none', 'fp32', 'dpo', soft, 100, '', 'adapter: { r: 8 }'],
  ['gradients', 'bf16', 'dpo', cached, 100, ', reduce: bfloat16', ''],
  ['parameters', 'bf16', 'dpo', soft, 100, ', replicas: 2', ''],
  ['none', 'bf16', 'kto', soft, 10_000, ', reduce: bfloat16', 'adapter: { r: 8 }'],
  ['parameters', 'bf16', 'dpo', soft, 10_000, ', replicas: 2', 'adapter: { r: 8 }'],
  ['parameters', 'fp32', 'dpo', 'reference: { update: hard, tau: 2 }', 10_000, '', 'adapter: { r: 8, type: dora }'],
])('%s: %s, %s, %s, %s tokens%s, %s: sent and held as estimated', async (...run) => {
  await runs.expectAsEstimated(run);
});
