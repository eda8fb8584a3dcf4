// The sequences that flash attention is given for a packed batch, with a plain kernel in its place: the kernel itself
// needs a GPU (tests/gpu/varlen.gpu.test.ts).
import { manualSeed, randn, type Tensor, tidy } from '@reanchor/torch';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { spanBatch, spanGroups } from '#reanchor/nn/spans.js';
import { canUseVarlen, keyPlaces, varlenAttention, varlenPlan, varlenTensors } from '#reanchor/nn/varlen.js';
import { groupBatches, pack } from '../support/packed.js';
import { plainVarlen } from '../support/plain-varlen.js';

test('a prompt and its first completion are one sequence; the others see the prompt and themselves', () => {
  const groups = [
    { start: 0, prefix: 3, completions: [2, 1, 2] },
    { start: 8, prefix: 0, completions: [2, 1] },
    { start: 11, prefix: 4, completions: [] },
  ];
  expect(varlenPlan(groups)).toEqual({
    // (p+c, p+c), (c, p+c), (c, p+c); without a prompt (c, c), (c, c); (p, p).
    queryEnds: Int32Array.of(0, 5, 6, 8, 10, 11, 15),
    keyEnds: Int32Array.of(0, 5, 9, 14, 16, 17, 21),
    keyTokens: Int32Array.of(0, 1, 2, 3, 4, 0, 1, 2, 5, 0, 1, 2, 6, 7, 8, 9, 10, 11, 12, 13, 14),
    longestQuery: 5,
    longestKey: 5,
  });
});

test('places of tokens among gathered keys are those of each token, in order', () => {
  expect(keyPlaces(Int32Array.of(0, 1, 2, 0, 1, 4), 5)).toEqual({
    ends: Int32Array.of(0, 2, 4, 5, 5, 6),
    places: Int32Array.of(0, 3, 1, 4, 2, 5),
  });
});

test('keys are gathered only where a prompt has several completions', () => {
  const plan = varlenPlan([
    { start: 0, prefix: 3, completions: [2] },
    { start: 5, prefix: 0, completions: [2, 1] },
  ]);
  expect(plan.keyTokens).toBeUndefined();
  expect(plan.keyEnds).toEqual(plan.queryEnds);
});

test.each([
  { heads: 2, keyValueHeads: 2 },
  { heads: 4, keyValueHeads: 2 },
  { heads: 3, keyValueHeads: 1 },
])('equals attention with masks, $heads query heads and $keyValueHeads of keys', ({ heads, keyValueHeads }) => {
  manualSeed(1);
  fc.assert(
    fc.property(groupBatches, (groups) => {
      tidy(() => {
        const batch = pack(groups);
        const tokens = batch.tokens.length;
        if (tokens === 0) return;
        const leaf = (n: number) => randn([tokens, n, 8], { dtype: 'float64' }).requiresGrad_();
        const inputs = [leaf(heads), leaf(keyValueHeads), leaf(keyValueHeads)] as const;
        const weight_NHC = randn([tokens, heads, 8], { dtype: 'float64' });
        const withGradients = (output_NHC: Tensor) => {
          output_NHC.mul(weight_NHC).sum().backward();
          return [output_NHC.toList(), ...inputs.map((input) => input.grad!.toList())];
        };
        const masked = spanBatch(batch, { dtype: 'float64', device: 'cpu', headChannels: 8 });
        const expected = withGradients(masked.attend(0, ...inputs));
        for (const input of inputs) input.grad = null;
        const sequences = varlenTensors(varlenPlan(spanGroups(batch.spans)), 'cpu');
        const found = withGradients(varlenAttention(...inputs, sequences, plainVarlen));
        for (const [i, values] of found.entries()) expect(values).toBeCloseToTensor(expected[i]!, 1e-12);
      });
    }),
    { numRuns: 40, seed: 3 },
  );
});

test('flash attention is used for half precisions on a GPU, with heads that its kernel takes', () => {
  const good = { dtype: 'bfloat16', device: 'cuda:0', headChannels: 128 } as const;
  expect(canUseVarlen(good)).toBe(true);
  for (const change of [
    { dtype: 'float32' },
    { device: 'cpu' },
    { headChannels: 20 },
    { headChannels: 264 },
  ] as const) {
    expect(canUseVarlen({ ...good, ...change })).toBe(false);
  }
});
