import { describe, expect, test } from 'vitest';
import { packedAttention, rotate } from './attention.js';
import type { DType } from './dtype.js';
import { TorchError } from './errors.js';
import { cat, full, randn } from './ops.gen.js';
import { manualSeed } from './random.js';
import { tidy } from './scope.js';
import { type Tensor, tensor } from './tensor.js';

/** The largest difference from a float64 result, as a share of its largest value. */
const error = (x: Tensor, exact: Tensor) =>
  x.to('float64').sub(exact).abs().max().item() / exact.to('float64').abs().max().item();

/** 0 where a token of a group may look, -inf elsewhere: at the prompt, and at its own completion's past. */
function maskOf(prefix: number, completions: readonly number[], dtype: DType): Tensor {
  const rows = completions.flatMap((length, c) => {
    const first = prefix + completions.slice(0, c).reduce((a, b) => a + b, 0);
    const keys = prefix + completions.reduce((a, b) => a + b, 0);
    return Array.from({ length }, (_, i) =>
      Array.from({ length: keys }, (_, key) =>
        key < prefix || (key >= first && key <= first + i) ? 0 : Number.NEGATIVE_INFINITY,
      ),
    );
  });
  return tensor(rows.flat(), { shape: [rows.length, rows[0]!.length], dtype });
}

/** Attention of a group by its formula: the prompt causally, the completions under their mask. */
function exactly(q: Tensor, k: Tensor, v: Tensor, prefix: number, completions: readonly number[]): Tensor {
  const [tokens, heads, channels] = q.shape as [number, number, number];
  const repeated = (x: Tensor) => x.transpose(0, 1).repeatInterleave(heads / x.shape[1]!, 0);
  const causal = Array.from({ length: prefix }, () => 1);
  const below = prefix > 0 ? [maskOf(0, [prefix], 'float64')] : [];
  const pad = below.map((mask) =>
    cat([mask, full([causal.length, tokens - prefix], Number.NEGATIVE_INFINITY, { dtype: 'float64' })], 1),
  );
  const mask = cat([...pad, ...(completions.length > 0 ? [maskOf(prefix, completions, 'float64')] : [])], 0);
  const scores = q
    .transpose(0, 1)
    .matmul(repeated(k).transpose(1, 2))
    .mul(channels ** -0.5)
    .add(mask);
  return scores.softmax(-1).matmul(repeated(v)).transpose(0, 1);
}

const layouts: [string, { prefix: number; completions: number[] }[]][] = [
  ['a prompt alone', [{ prefix: 7, completions: [] }]],
  ['a prompt and two completions', [{ prefix: 5, completions: [3, 1] }]],
  ['an empty prompt', [{ prefix: 0, completions: [4] }]],
  [
    'several groups, with and without prompts and completions',
    [
      { prefix: 0, completions: [2, 3] },
      { prefix: 9, completions: [1, 6, 2] },
      { prefix: 4, completions: [] },
      { prefix: 0, completions: [1] },
      { prefix: 40, completions: [33, 20] },
    ],
  ],
];

describe.each([
  ['float64', 1e-12, 4, 4],
  ['float32', 1e-5, 4, 4],
  ['float32', 1e-5, 6, 2],
  ['bfloat16', 3e-2, 4, 2],
] as const)('%s within %d, %d heads on %d', (dtype, tolerance, heads, keyValueHeads) => {
  test.each(layouts)('%s', (_name, groups) => {
    tidy(() => {
      manualSeed(3);
      const channels = 8;
      const sizes = groups.map(({ prefix, completions }) => prefix + completions.reduce((a, b) => a + b, 0));
      const tokens = sizes.reduce((a, b) => a + b, 0);
      // One projection's queries, keys and values, as GPT-NeoX lays them out: neighbours, not contiguous.
      const given = [heads, keyValueHeads, keyValueHeads].map((count) =>
        randn([tokens, count, 2 * channels], { dtype: 'float64' })
          .to(dtype)
          .requiresGrad_(),
      );
      const parts = given.map((x) => x.narrow(2, channels, channels)) as [Tensor, Tensor, Tensor];
      const wide = parts.map((x) => x.detach().to('float64').requiresGrad_()) as [Tensor, Tensor, Tensor];
      const starts = sizes.map((_, i) => sizes.slice(0, i).reduce((a, b) => a + b, 0));
      const out = packedAttention(
        ...parts,
        groups.flatMap(({ prefix }, i) => [starts[i]!, prefix, sizes[i]! - prefix]),
        groups.flatMap(({ prefix, completions }) =>
          completions.length > 0 ? [maskOf(prefix, completions, dtype)] : [],
        ),
      );
      const exact = cat(
        groups.map(({ prefix, completions }, i) => {
          const slice = wide.map((x) => x.narrow(0, starts[i]!, sizes[i]!)) as [Tensor, Tensor, Tensor];
          return exactly(...slice, prefix, completions);
        }),
        0,
      );
      expect(error(out, exact)).toBeLessThan(tolerance);
      const slope = randn(out.shape, { dtype: 'float64' });
      out.backward(slope.to(dtype));
      exact.backward(slope);
      for (const [i, x] of given.entries()) {
        expect(x.grad!.narrow(2, 0, channels).abs().max().item()).toBe(0);
        expect(error(x.grad!.narrow(2, channels, channels), wide[i]!.grad!)).toBeLessThan(2 * tolerance);
      }
    });
  });
});

test('groups that do not cover the tokens, and masks that are too few, are refused', () => {
  tidy(() => {
    const x = randn([4, 2, 8]);
    expect(() => packedAttention(x, x, x, [0, 3, 0], [])).toThrow(/the groups have 3 tokens, q has 4/);
    expect(() => packedAttention(x, x, x, [1, 3, 0], [])).toThrow(/group 0 starts at 1, not at 0/);
    expect(() => packedAttention(x, x, x, [0, 2, 2], [])).toThrow(TorchError);
  });
});

test.each(['float32', 'float64', 'bfloat16'] as const)(
  '%s: a rotation of all channels and of the first, and its gradient',
  (dtype) => {
    tidy(() => {
      manualSeed(4);
      const fused = randn([5, 3, 24], { dtype: 'float64' }).to(dtype).requiresGrad_();
      const x = fused.narrow(2, 8, 8);
      for (const channels of [8, 4]) {
        fused.grad = null;
        const angles = randn([5, 1, channels / 2], { dtype: 'float64' });
        const twice = (half: Tensor) => cat([half, half], -1);
        const [cos, sin] = [twice(angles.cos()).to(dtype), twice(angles.sin()).to(dtype)];
        const wide = x.detach().to('float64').requiresGrad_();
        const part = wide.narrow(2, 0, channels);
        const [first, second] = part.chunk(2, -1) as [Tensor, Tensor];
        const turned = part.mul(cos.to('float64')).add(cat([second.neg(), first], -1).mul(sin.to('float64')));
        const exact = channels === 8 ? turned : cat([turned, wide.narrow(2, channels, 8 - channels)], -1);
        const rotated = rotate(x, cos, sin);
        const tolerance = { float32: 1e-6, float64: 1e-14, bfloat16: 2e-2 }[dtype];
        expect(error(rotated, exact)).toBeLessThan(tolerance);
        const slope = randn([5, 3, 8], { dtype: 'float64' });
        rotated.backward(slope.to(dtype));
        exact.backward(slope);
        expect(error(fused.grad!.narrow(2, 8, 8), wide.grad!)).toBeLessThan(tolerance);
      }
    });
  },
);
