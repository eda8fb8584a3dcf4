import { expect, test } from 'vitest';
import { publishedConfig } from '../models/published-configs.js';
import { modelShape } from '../models/shape.js';
import { parseRecipe } from '../recipe/index.js';
import type { Shard } from '../weights/sharded-weights.js';
import { planUnits } from '../weights/unit-plan.js';
import { assumedPlan } from './assumed-rows.js';
import { mainMemory, standing } from './holding.js';
import { layouts } from './layout.js';
import { stepMemory } from './memory.js';
import { type Division, type MemoryOptions, type ShardMode, shardModes, totalMemory } from './memory-parts.js';
import { type StepPasses, sentBytes } from './sending.js';

const { configJson } = publishedConfig('pythia-2.8b')!;
const shape = modelShape(configJson);
const options: MemoryOptions = {
  shape,
  bytes: 4,
  needsReference: true,
  wideBytes: 0,
  referenceBytes: 4,
  activationCheckpointing: false,
  process: 0,
};
/** A step of rows of equal lengths. */
function stepOf(method: string, batch: string, lengths: { prefix: number; completion: number }) {
  const text = `{ model: m, method: ${method}, data: { train: t, maxLength: 1024 }, batch: ${batch} }`;
  return [...layouts(assumedPlan(parseRecipe(text, { file: 'r.yaml', env: {} }), lengths, undefined, 1))][0]!;
}
const step = stepOf('dpo', '{ size: 128 }', { prefix: 512, completion: 512 });
const weights = 4 * 2_775_208_960;

test('assumed rows fill micro-batches up to the budget, and all rows of a step are in them', () => {
  expect(step.map(({ rows }) => rows)).toEqual([...new Array(12).fill(10), 8]);
  for (const { policy } of step) expect(policy.tokens).toBeLessThanOrEqual(16384);
  expect(step[0]!.policy).toMatchObject({ tokens: 10 * (512 + 2 * 511), scored: 10 * 2 * 512 });
  const limited = stepOf('kto', '{ size: 5, rowsPerMicroBatch: 2 }', { prefix: 512, completion: 512 });
  expect(limited.map(({ rows }) => rows)).toEqual([2, 2, 1]);
  expect(limited[0]!.reference.tokens).toBe(2 * (512 + 2 * 511));
  expect(limited[0]!.partners!.tokens).toBe(2 * 1023);
  // A row that alone is larger than the budget is computed alone.
  expect(stepOf('sft', '{ size: 2, tokensPerMicroBatch: 10 }', { prefix: 50, completion: 50 })).toHaveLength(2);
});

test('weights, gradients, moments and the reference take 20 bytes a parameter in fp32, 16 without a second model', () => {
  const { activations, workspace, ...standing } = stepMemory(step, options);
  expect(totalMemory({ ...standing, activations: 0, workspace: 0 })).toBe(5 * weights);
  expect(activations).toBeGreaterThan(workspace);
  const cached = stepMemory(step, { ...options, referenceBytes: 0 });
  expect(totalMemory(cached)).toBe(totalMemory(stepMemory(step, options)) - weights);
  expect(totalMemory(stepMemory(step, { ...options, bytes: 8, referenceBytes: 8 }))).toBeGreaterThan(1.9 * 5 * weights);
});

test('SwiGLU by its kernel keeps a feed-forward width less of every token and block of a Llama', () => {
  const llama = modelShape(publishedConfig('meta-llama/Meta-Llama-3-8B')!.configJson);
  const of = (changes: Partial<MemoryOptions>) => stepMemory(step, { ...options, shape: llama, bytes: 2, ...changes });
  const tokens = Math.max(...step.map(({ policy }) => policy.tokens));
  const less = of({}).activations - of({ kernels: 'fused' }).activations;
  expect(less).toBe(2 * tokens * llama.layers * llama.block.feedForward);
  expect(stepMemory(step, { ...options, kernels: 'fused' })).toEqual(stepMemory(step, options));
});

test('a process of divided parameters has them all while answers are written, which a large model feels', () => {
  const division: Division = { shard: 'parameters', processes: 64, units: planUnits(configJson) };
  const short = stepOf('dpo', '{ size: 1 }', { prefix: 16, completion: 16 });
  const of = (writesAnswers: boolean) => stepMemory(short, { ...options, division, writesAnswers });
  expect(of(true).weights).toBe(of(true).optimizer / 2 + weights);
  expect(of(true).activations).toBe(0);
  expect(of(false).weights).toBeLessThan(weights / 4);
  const undivided = { ...options, writesAnswers: true };
  expect(stepMemory(step, undivided)).toEqual(stepMemory(step, options));
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

test('activation checkpointing keeps one number a token, block and channel', () => {
  const checkpointed = stepMemory(step, { ...options, activationCheckpointing: true });
  const plain = stepMemory(step, options);
  expect(checkpointed.activations).toBeLessThan(plain.activations / 5);
  expect(checkpointed.activations).toBeGreaterThan(34 * 15340 * 2560 * 4);
});

test('of what is divided among 8 processes each has an eighth', () => {
  const bf16: MemoryOptions = { ...options, bytes: 2, wideBytes: 4, referenceBytes: 6 };
  const units = planUnits(configJson);
  const parameters = weights / 4;
  const bytesOf = (shard: ShardMode) => {
    const { process, ...parts } = standing({ ...bf16, division: { shard, processes: 8, units } });
    return Object.values(parts).reduce((sum, bytes) => sum + bytes, 0) / parameters;
  };
  // Weights 2 and 4, moments 8, the reference 2 and 4.
  expect(bytesOf('none')).toBe(20);
  expect(bytesOf('optimizer')).toBeCloseTo(2 + 2 + 16 / 8, 3);
  expect(bytesOf('gradients')).toBe(bytesOf('optimizer'));
  expect(bytesOf('parameters')).toBeCloseTo(16 / 8, 3);
  const peaks = shardModes.map((shard) =>
    totalMemory(stepMemory(step, { ...bf16, activationCheckpointing: true, division: { shard, processes: 8, units } })),
  );
  expect(peaks).toEqual(peaks.toSorted((a, b) => b - a));
  // The last process has the padding, and no moments of it.
  const [first, last] = [0, 1023].map((rank) =>
    standing({ ...bf16, division: { shard: 'parameters', processes: 1024, units } }, rank),
  );
  expect(last!.weights).toBe(first!.weights);
  expect(last!.optimizer).toBeLessThan(first!.optimizer);
});

test('replicas hold and send as their processes do, and their parts of gradients twice besides', () => {
  const bf16: MemoryOptions = { ...options, bytes: 2, wideBytes: 4, referenceBytes: 0 };
  const units = planUnits(configJson);
  const passes: StepPasses = { trained: 3, forward: 0, reference: 0, updates: 0 };
  const dividing = (division: Omit<Division, 'units'>) => ({ ...bf16, division: { ...division, units } });
  for (const shard of ['optimizer', 'gradients', 'parameters'] as const) {
    const eight = dividing({ shard, processes: 8 });
    const sixteen = dividing({ shard, processes: 16, replicas: 2 });
    for (const rank of [0, 7]) {
      expect(standing(sixteen, rank)).toEqual(standing(eight, rank));
      expect(standing(sixteen, rank + 8)).toEqual(standing(eight, rank));
    }
    const [alone, both] = [sentBytes(passes, eight), sentBytes(passes, sixteen)];
    expect(both.weights).toBe(alone.weights);
    // A sum over 2 processes sends all of a slice of 4 bytes a parameter; in bfloat16 all is half.
    expect((both.gradients - alone.gradients) / weights).toBeCloseTo(1 / 8, 4);
    const half = sentBytes(passes, dividing({ shard, processes: 16, replicas: 2, reduceBytes: 2 }));
    expect(half.gradients).toBe(both.gradients / 2);
  }
});

test('with the optimizer in main memory a device has the weights that it computes with', () => {
  const bf16: MemoryOptions = { ...options, bytes: 2, wideBytes: 4, referenceBytes: 6 };
  const units = planUnits(configJson);
  const parameters = weights / 4;
  const dividing = (shard: Shard, isOffloaded = true) => ({
    ...bf16,
    division: { shard, processes: 1, isOffloaded, units },
  });
  const held = (shard: Shard) => totalMemory({ ...standing(dividing(shard)), process: 0 }) / parameters;
  expect([held('optimizer'), held('gradients'), held('parameters')]).toEqual([4, 4, 0]);
  // Weights and the reference's 4 each, moments 8, gradients 4; slices of bfloat16 that are copied, in powers of two.
  const [root, block] = units.map((unit) => 2 ** Math.ceil(Math.log2(2 * unit.numel)));
  expect((mainMemory(dividing('gradients')) - root! - 3 * block!) / parameters).toBeCloseTo(20, 3);
  expect(mainMemory(dividing('gradients', false))).toBe(0);
  const peak = (one: MemoryOptions) => totalMemory(stepMemory(step, one));
  expect(peak(dividing('gradients'))).toBeLessThan(peak(bf16) - 15 * parameters);
  expect(peak(dividing('parameters'))).toBeLessThan(peak(dividing('gradients')));
});
