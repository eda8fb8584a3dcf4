import { expect, test } from 'vitest';
import { publishedConfig } from '../models/published-configs.js';
import { parseRecipe } from '../recipe/index.js';
import { estimateRun } from './estimate.js';
import { totalMemory } from './memory-parts.js';

/** A run of Llama 3 8B whose micro-batches have 4,096 packed tokens. */
function llama(keys: string, { precision = 'bf16', maxLength = 2732, config = {} } = {}) {
  const { id, configJson } = publishedConfig('Meta-Llama-3-8B')!;
  const text = `{ model: ${id}, precision: ${precision}, method: dpo, activationCheckpointing: true, steps: 100,
    data: { train: rows.jsonl, maxLength: ${maxLength} }, batch: { size: 16, tokensPerMicroBatch: 4096 }, ${keys} }`;
  return estimateRun({
    recipe: parseRecipe(text, { file: 'r.yaml', env: {} }),
    expected: { config: { configJson: { ...configJson, ...config }, from: id } },
  });
}
const cached = 'reference: { update: hard, tau: 64, storage: cached }';
const hard = 'reference: { update: hard, tau: 64 }';
const soft = 'reference: { update: soft, alpha: 0.6 }';
const factors = 41_943_040;
const [matrices, around] = [6_979_321_856, 1_050_939_392];

// Summed by hand, GB: the base, factors with gradients and moments 0.67, a product of rank 64 0.67, activations and
// gradients of a block 2.2, a chunk of logits 0.2; of NF4 the dense values of a matrix 0.12. Here the chunk, a dense
// matrix and the gradients of a block are not counted at once, nor what norms that are frozen do not keep.
test.each([
  ['none', cached, 19.1],
  ['none', soft, 19.8],
  ['nf4-double', cached, 8.9],
  ['nf4-double', soft, 9.6],
])('Llama 3 8B, quantize %s, %s: about %s GB', async (quantize, reference, byHand) => {
  const { memory, microBatch } = await llama(`adapter: {}, quantize: ${quantize}, ${reference}`);
  expect(microBatch.tokens).toBe(4096);
  const total = totalMemory({ ...memory, process: 0 }) / 1e9;
  expect(total).toBeLessThan(byHand);
  expect(total).toBeGreaterThan(0.95 * byHand);
});

test('the base is there once, and what is trained in float32 beside it', async () => {
  const { memory, adapter } = await llama(`adapter: {}, ${soft}`);
  expect(adapter).toMatchObject({ type: 'lora', ranks: [16], referenceRanks: [64], layers: 224, linearLayers: 224 });
  expect(adapter!.parameters).toBe(factors);
  expect(memory).toMatchObject({ weights: 2 * (matrices + around), adapter: 4 * factors, optimizer: 8 * factors });
  expect(memory.reference).toBe(16 * factors);
  const low = await llama(
    `adapter: { r: 512, targets: [k_proj] }, reference: { update: soft, alpha: 0.6, rank: 4000 }`,
  );
  // The keys of all heads have 1,024 channels.
  expect(low.adapter!.referenceRanks).toEqual([1024]);
  const copies = [
    cached,
    hard,
    'reference: { update: soft, alpha: 0.6, average: factors }',
    'reference: { update: soft, alpha: 1 }',
  ];
  const references = await Promise.all(
    copies.map(async (one) => (await llama(`adapter: {}, ${one}`)).memory.reference),
  );
  expect(references).toEqual([0, 1, 1, 1].map((count) => count * 4 * factors));
});

test.each([
  ['nf4', 4.5],
  ['nf4-double', 4.126953125],
])('quantize %s: %s bits of a weight of the blocks, and one dense matrix at a time', async (form, bits) => {
  const { memory } = await llama(`adapter: {}, quantize: ${form}, ${cached}`);
  expect(memory.weights).toBe((matrices * bits) / 8 + 2 * around);
  const small = await llama(`adapter: {}, quantize: ${form}, ${cached}`, { maxLength: 8 });
  // Beside the gradients of a block's output and of what the matrix reads.
  const gradients = 2 * small.microBatch.tokens * (4096 + 14336);
  expect(small.memory.workspace).toBe(2 * 4096 * 14336 + gradients);
  const stored = { load_in_4bit: true, bnb_4bit_quant_type: 'nf4', bnb_4bit_use_double_quant: form !== 'nf4' };
  const read = await llama(`adapter: {}, ${cached}`, { config: { quantization_config: stored } });
  expect(read.adapter!.quantize).toBe(form);
  expect(read.memory).toEqual(memory);
});

test('modules that are trained whole have gradients, moments and a copy, and are no part of the base', async () => {
  const head = 128_256 * 4096;
  const plain = await llama(`adapter: {}, ${hard}`, { precision: 'fp32' });
  const saved = await llama(`adapter: { modulesToSave: [lm_head] }, ${hard}`, { precision: 'fp32' });
  expect(saved.adapter).toMatchObject({ parameters: factors + head, whole: ['lm_head.weight'] });
  expect(plain.memory.weights - saved.memory.weights).toBe(4 * head);
  expect(saved.memory.optimizer - plain.memory.optimizer).toBe(8 * head);
  expect(saved.memory.reference - plain.memory.reference).toBe(4 * head);
});

test('files: adapters, their moments and references, and the model where it is merged', async () => {
  const every = 'checkpoint: { every: 10 }';
  const { files } = await llama(`adapter: {}, ${every}, ${soft}`);
  expect(files).toMatchObject({ final: 4 * factors, checkpoint: (12 + 16) * factors });
  const merged = await llama(`adapter: {}, ${every}, ${cached}, save: { merged: true, dtype: bf16 }`);
  expect(merged.files).toMatchObject({ final: 2 * factors + 2 * (matrices + around), checkpoint: 12 * factors });
});

test('targets, ranks and averages that training refuses are refused', async () => {
  await expect(llama('adapter: { targets: [q_prj] }')).rejects.toThrow(
    /"q_prj" is no linear layer; did you mean q_proj/,
  );
  await expect(llama('adapter: { targets: /gate/ }')).rejects.toThrow(/matches no linear layer/);
  const low = 'reference: { update: soft, alpha: 0.6, rank: 8 }';
  await expect(llama(`adapter: { r: 16 }, ${low}`)).rejects.toThrow(/reference.rank is 8, below .* \(16\)/);
});
