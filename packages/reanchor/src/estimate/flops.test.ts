import { expect, test } from 'vitest';
import { publishedConfig } from '../models/published-configs.js';
import { modelShape } from '../models/shape.js';
import { parseRecipe } from '../recipe/index.js';
import { adapterForm } from './adapter-form.js';
import { adapterWork } from './adapter-work.js';
import { backwardFlops, forwardFlops, type RunPasses, runFlops } from './flops.js';

const text = { tokens: 300, scored: 300, groups: [{ prefix: 300, completions: 0 }] };
const shapeOf = (name: string) => modelShape(publishedConfig(name)!.configJson);
const llamaConfig = {
  model_type: 'llama',
  vocab_size: 50304,
  hidden_size: 512,
  intermediate_size: 1376,
  num_hidden_layers: 6,
  num_attention_heads: 8,
  num_key_value_heads: 4,
};
const llama = modelShape(llamaConfig);

// Counted by torch.utils.flop_counter (2.13.0) over transformers 5.18 with eager attention, 300 tokens, all scored; it
// adds the products of rotary angles, a millionth, and its backward pass computes nothing twice.
test.each([
  ['pythia-70m', shapeOf('pythia-70m'), 27_883_934_400, 55_767_859_200, 1_105_920_000, 15_453_388_800],
  ['a Llama of 69M', llama, 26_999_212_800, 53_998_387_200, 1_105_920_000, 15_453_388_800],
])('%s: what PyTorch counts, and what is computed twice here', (_, shape, forward, backward, attention, head) => {
  expect(forwardFlops(shape, text) / forward).toBeCloseTo(1, 5);
  // The logits of 300 tokens are kept; of 2,000, those of two chunks of 256, and the others are made again.
  expect((backwardFlops(shape, text) - attention / 2) / backward).toBeCloseTo(1, 5);
  const more = backwardFlops(shape, { ...text, scored: 2000 }) - backwardFlops(shape, { ...text, scored: 512 });
  expect(more / (3 * (2000 - 512) * (head / 300))).toBeCloseTo(1, 9);
});

// Counted in the same way over PEFT 0.21, rank 16, and the products of attention that are made here besides: scores
// again in each block that a gradient goes through, and gradients of keys that need none.
test.each([
  ['{}', 27_531_897_600, 28_841_164_800, 6],
  ['{ targets: [q_proj, v_proj] }', 27_102_432_000, 27_894_988_800, 7],
  ['{ targets: [down_proj] }', 27_107_961_600, 26_200_780_800, 5],
  ['{ modulesToSave: [lm_head] }', 27_531_897_600, 44_294_553_600, 6],
  ['{ modulesToSave: [embed_tokens] }', 27_531_897_600, 29_170_483_200, 6],
])('an adapter %s: frozen matrices have no gradients', async (adapter, forward, backward, more) => {
  const recipe = parseRecipe(`{ model: m, method: sft, data: { train: t }, adapter: ${adapter} }`, {
    file: '',
    env: {},
  });
  const { factors, gradient } = adapterWork((await adapterForm(recipe, llamaConfig))!, llama.block, false);
  const product = 2 * 300 ** 2 * 512;
  expect(forwardFlops(llama, text, factors) / forward).toBeCloseTo(1, 5);
  expect((backwardFlops(llama, text, gradient) - more * product) / backward).toBeCloseTo(1, 9);
});

test('a prompt that two completions share is counted once', () => {
  const shared = { tokens: 100 + 2 * 50, scored: 102, groups: [{ prefix: 100, completions: 100 }] };
  const apart = { tokens: 2 * 150, scored: 102, groups: [1, 2].map(() => ({ prefix: 100, completions: 50 })) };
  const { matrixParameters } = llama;
  const saved = forwardFlops(llama, apart) - forwardFlops(llama, shared);
  const pairs = 2 * (100 ** 2 + 50 * 150) - (100 ** 2 + 100 * 200);
  expect(saved).toBe(2 * 100 * matrixParameters + 4 * 6 * 512 * pairs);
});

test('references: a copy scores every step, a cached one each row once before the next update, SFT has none', () => {
  const step = [{ rows: 1, policy: text, reference: text }];
  const run: RunPasses = {
    steps: Array.from({ length: 6 }, () => step),
    repeats: 1,
    updates: new Set([4]),
    stepsPerEpoch: 2,
    validation: [text],
    evaluations: 2,
    storage: 'copy',
    capsDivergence: false,
    couplesRows: false,
    activationCheckpointing: true,
  };
  const passes = (changes: Partial<RunPasses>) =>
    runFlops(llama, { ...run, ...changes }).reference / forwardFlops(llama, text);
  expect(passes({})).toBe(6);
  expect(passes({ storage: 'cached' })).toBe(4);
  expect(passes({ storage: 'cached', updates: new Set() })).toBe(2);
  expect(passes({ storage: 'none' })).toBe(0);
  expect(passes({ capsDivergence: true })).toBe(8);
  const { forward, backward, recomputation, other } = runFlops(llama, run);
  expect(forward).toBe(6 * forwardFlops(llama, text));
  expect(backward).toBe(6 * backwardFlops(llama, text));
  expect(recomputation).toBe(6 * (forwardFlops(llama, text) - 2 * 300 * 50304 * 512));
  expect(other).toBe(2 * forwardFlops(llama, text));
  const once = runFlops(llama, { ...run, steps: [step], repeats: 5, evaluations: 0 });
  expect(once.forward).toBe(5 * forwardFlops(llama, text));
});
