import { expect, test } from 'vitest';
import { publishedConfig } from '../models/published-configs.js';
import { modelShape } from '../models/shape.js';
import { assumedStep } from './layout.js';
import { deviceMemory, type MemoryOptions, stepMemory, totalMemory } from './memory.js';

const shape = modelShape(publishedConfig('pythia-2.8b')!.configJson);
const options: MemoryOptions = {
  shape,
  bytes: 4,
  needsReference: true,
  wideBytes: 0,
  referenceBytes: 4,
  activationCheckpointing: false,
  process: 0,
};
const step = assumedStep('pairs', { prefix: 512, completion: 512, batchSize: 128, tokensPerMicroBatch: 16384 });
const weights = 4 * 2_775_208_960;

test('assumed rows fill micro-batches up to the budget, and all rows of a step are in them', () => {
  expect(step.map(({ rows }) => rows)).toEqual([...new Array(12).fill(10), 8]);
  for (const { policy } of step) expect(policy.tokens).toBeLessThanOrEqual(16384);
  expect(step[0]!.policy).toMatchObject({ tokens: 10 * (512 + 2 * 511), scored: 10 * 2 * 512 });
  const limited = assumedStep('unpaired', {
    prefix: 512,
    completion: 512,
    batchSize: 5,
    tokensPerMicroBatch: 16384,
    rowsPerMicroBatch: 2,
  });
  expect(limited.map(({ rows }) => rows)).toEqual([2, 2, 1]);
  expect(limited[0]!.reference.tokens).toBe(2 * (512 + 2 * 511));
  // A row that alone is larger than the budget is computed alone.
  expect(assumedStep('sft', { prefix: 50, completion: 50, batchSize: 2, tokensPerMicroBatch: 10 })).toHaveLength(2);
});

test('weights, gradients, moments and the reference take 20 bytes a parameter in fp32, 16 without a second model', () => {
  const { activations, workspace, ...standing } = stepMemory(step, options);
  expect(totalMemory({ ...standing, activations: 0, workspace: 0 })).toBe(5 * weights);
  expect(activations).toBeGreaterThan(workspace);
  const cached = stepMemory(step, { ...options, referenceBytes: 0 });
  expect(totalMemory(cached)).toBe(totalMemory(stepMemory(step, options)) - weights);
  expect(totalMemory(stepMemory(step, { ...options, bytes: 8, referenceBytes: 8 }))).toBeGreaterThan(1.9 * 5 * weights);
});

test('bf16 takes 2 + 4 bytes of weights, 4 of summed gradients and 8 of moments a parameter; in parameters alone half', () => {
  const parameters = weights / 4;
  const masters = stepMemory(step, { ...options, bytes: 2, wideBytes: 4, referenceBytes: 2 });
  expect(masters.weights).toBe(6 * parameters);
  expect(masters.optimizer).toBe(8 * parameters);
  expect(masters.reference).toBe(2 * parameters);
  expect(masters.gradients).toBeGreaterThanOrEqual(4 * parameters);
  const alone = stepMemory(step, { ...options, bytes: 2, referenceBytes: 2 });
  const { activations, workspace, ...standing } = alone;
  expect(totalMemory({ ...standing, activations: 0, workspace: 0 })).toBe(10 * parameters);
  expect(activations).toBeLessThan(0.6 * stepMemory(step, options).activations);
});

test('activation checkpointing keeps one number a token, block and channel; sharing divides what stands', () => {
  const checkpointed = stepMemory(step, { ...options, activationCheckpointing: true });
  const plain = stepMemory(step, options);
  expect(checkpointed.activations).toBeLessThan(plain.activations / 5);
  expect(checkpointed.activations).toBeGreaterThan(34 * 15340 * 2560 * 4);
  const one = deviceMemory(plain, 1, options);
  expect(one.sharded).toBe(one.replica);
  const eight = deviceMemory(plain, 8, options);
  expect(eight.replica).toBe(totalMemory(plain));
  expect(eight.replica - eight.sharded).toBeLessThan((7 / 8) * 5 * weights);
  expect(eight.replica - eight.sharded).toBeGreaterThan(0.9 * (7 / 8) * 5 * weights);
});
