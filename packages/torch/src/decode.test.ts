import { expect, test } from 'vitest';
import { decodeAttention, decodeLinear, decodeRmsNorm } from './decode.js';
import { TorchError } from './errors.js';
import { linear } from './linear.js';
import { getNumThreads, setNumThreads } from './memory.js';
import { cat, randn, scaledDotProductAttention, zeros } from './ops.gen.js';
import { manualSeed } from './random.js';
import { noGrad, tidy } from './scope.js';
import { type Tensor, tensor } from './tensor.js';

const wide = (x: Tensor) => x.to('float64');

/** The largest difference from a float64 result, as a share of its largest value. */
const error = (x: Tensor, exact: Tensor) => wide(x).sub(exact).abs().max().item() / exact.abs().max().item();

const inScope = (test: () => void) => () => {
  manualSeed(7);
  tidy(() => noGrad(test));
};

test.each([1, 2, 3, 4, 5, 8, 11])('the linear layer of %i rows, with odd sizes and a bias', (rows) => {
  inScope(() => {
    for (const [inputs, outputs] of [
      [1, 1],
      [7, 5],
      [24, 33],
      [203, 130],
    ] as const) {
      const [x, weight, bias] = [randn([rows, inputs]), randn([outputs, inputs]), randn([outputs])];
      expect(error(decodeLinear(x, weight, bias), linear(wide(x), wide(weight), wide(bias)))).toBeLessThan(2e-6);
      expect(error(decodeLinear(x, weight), linear(wide(x), wide(weight)))).toBeLessThan(2e-6);
    }
  })();
});

test(
  'a large product, which threads share, is the same bits, and so is a row alone or among others',
  inScope(() => {
    const [x, weight] = [randn([9, 700]), randn([1000, 700])];
    const threads = getNumThreads();
    setNumThreads(2);
    const together = decodeLinear(x, weight);
    setNumThreads(threads);
    for (let row = 0; row < 9; row++) {
      expect(decodeLinear(x.narrow(0, row, 1), weight).toList()).toEqual(together.narrow(0, row, 1).toList());
    }
    for (let first = 0; first + 5 <= 9; first += 2) {
      expect(decodeLinear(x.narrow(0, first, 5), weight).toList()).toEqual(together.narrow(0, first, 5).toList());
    }
  }),
);

test(
  'the RMS norm, of tokens and of their heads',
  inScope(() => {
    for (const shape of [
      [3, 40],
      [3, 4, 10],
    ]) {
      const [x, weight] = [randn(shape), randn([shape.at(-1)!])];
      const exact = wide(x).mul(wide(x).square().mean(-1, true).add(1e-5).rsqrt()).mul(wide(weight));
      expect(error(decodeRmsNorm(x, weight, 1e-5), exact)).toBeLessThan(1e-6);
    }
  }),
);

test.each([
  { heads: 4, keyValueHeads: 4, channels: 16, slots: 1 },
  { heads: 6, keyValueHeads: 2, channels: 64, slots: 77 },
  { heads: 2, keyValueHeads: 1, channels: 13, slots: 19 },
  { heads: 9, keyValueHeads: 3, channels: 64, slots: 700 },
])('attention over a cache, $heads heads on $keyValueHeads, $channels channels, $slots slots', (shape) => {
  inScope(() => {
    const { heads, keyValueHeads, channels, slots } = shape;
    const texts = 3;
    const [keys, values] = [0, 1].map(() => randn([texts, keyValueHeads, slots + 5, channels])) as [Tensor, Tensor];
    const q = randn([texts, heads, channels]).mul(3);
    const [k, v] = [0, 1].map(() => randn([texts, keyValueHeads, channels])) as [Tensor, Tensor];
    const starts = [0, slots >> 1, slots - 1];
    const starts_B = tensor(Int32Array.from(starts), { dtype: 'int64' });
    const mixed = decodeAttention(q, k, v, keys, values, starts_B, slots - 1);
    expect(keys.select(2, slots - 1).toList()).toEqual(k.toList());
    expect(values.select(2, slots - 1).toList()).toEqual(v.toList());
    const seen = (cache: Tensor, b: number) =>
      wide(cache)
        .narrow(0, b, 1)
        .narrow(2, starts[b]!, slots - starts[b]!);
    const exact = starts.map((_, b) =>
      scaledDotProductAttention(wide(q).narrow(0, b, 1).unsqueeze(2), seen(keys, b), seen(values, b), {
        enableGqa: true,
      }).squeeze(2),
    );
    expect(error(mixed, cat(exact, 0))).toBeLessThan(1e-6);
    const alone = decodeAttention(
      ...([q, k, v, keys, values, starts_B].map((x) => x.narrow(0, 1, 1)) as [
        Tensor,
        Tensor,
        Tensor,
        Tensor,
        Tensor,
        Tensor,
      ]),
      slots - 1,
    );
    expect(alone.toList()).toEqual(mixed.narrow(0, 1, 1).toList());
  })();
});

test('other dtypes, shapes that do not fit, slots that are not there and gradients are refused', () => {
  tidy(() => {
    const [x, weight] = [zeros([2, 8]), zeros([4, 8])];
    expect(() => decodeLinear(wide(x), wide(weight))).toThrow(/float32 on the CPU; 'x' is Double/);
    expect(() => decodeLinear(x, zeros([4, 7]))).toThrow(/have shapes \[2, 8\] and \[4, 7\]/);
    expect(() => decodeLinear(x, weight, zeros([5]))).toThrow(TorchError);
    const [q, cache] = [zeros([2, 1, 8]), zeros([2, 1, 3, 8])];
    const starts = zeros([2], { dtype: 'int64' });
    expect(() => decodeAttention(q, q, q, cache, cache, starts, 3)).toThrow(/slot 3/);
    expect(() => decodeAttention(q, q, q, cache, cache, starts.narrow(0, 0, 1), 0)).toThrow(TorchError);
    weight.requiresGrad = true;
    expect(() => decodeLinear(x, weight)).toThrow(/outside noGrad/);
  });
});
