// Letters: M scored rows, D hidden size, V vocabulary.
import { describe, expect, test } from 'vitest';
import {
  type DType,
  getNumThreads,
  grad,
  halfPrecision,
  linearLogprob,
  manualSeed,
  memory,
  noGrad,
  ones,
  randn,
  setNumThreads,
  type Tensor,
  TorchError,
  tensor,
  tidy,
  zeros,
} from './index.js';
import { relativeError } from './testing/relative-error.js';

const composed = (hidden_MD: Tensor, weight_VD: Tensor, targets_M: Tensor) =>
  hidden_MD.matmul(weight_VD.t()).logSoftmax(1).gather(1, targets_M.unsqueeze(1)).squeeze(1);

function problem(M: number, D: number, V: number, dtype: DType) {
  manualSeed(M + D + V);
  const hidden_MD = randn([M, D], { dtype: 'float64' }).to(dtype).requiresGrad_();
  const weight_VD = randn([V, D], { dtype: 'float64' }).to(dtype).requiresGrad_();
  const targets_M = tensor(
    Array.from({ length: M }, (_, m) => (m * 7919) % V),
    { dtype: 'int64' },
  );
  const slope_M = randn([M], { dtype: 'float64' });
  return { hidden_MD, weight_VD, targets_M, slope_M };
}

describe('linearLogprob', () => {
  // Largest |difference| / max(1, |composed|). 16-bit logits stay in float32, so values are as exact as float32's.
  // Gradients are rounded once, at the end, to the dtype of hidden and weight, so they differ by at most its last
  // place: 2^-7, 2^-10. A CPU that multiplies in bfloat16 rounds slopes before, as a GPU does.
  test.each([
    ['float64', 'float64', 1e-10, 1e-10],
    ['float32', 'float32', 1e-5, 1e-5],
    ['bfloat16', 'float32', 1e-5, ['amx', 'avx512-bf16'].includes(halfPrecision()) ? 2 ** -5 : 2 ** -7],
    ['float16', 'float32', 1e-5, 2 ** -10],
  ] as const)('%s: values and gradients equal the composed form in %s', (dtype, wide, tolerance, gradTolerance) => {
    for (const [M, D, V] of [
      [1, 1, 1],
      [5, 3, 2],
      [37, 16, 101],
      [300, 32, 700],
    ] as const) {
      tidy(() => {
        const { hidden_MD, weight_VD, targets_M, slope_M } = problem(M, D, V, dtype);
        const expected_M = composed(hidden_MD.to(wide), weight_VD.to(wide), targets_M);
        const expected = grad([expected_M], [hidden_MD, weight_VD], { gradOutputs: [slope_M.to(wide)] });
        const bytesOfRow = V * (wide === 'float64' ? 8 : 4);
        // All rows kept for the backward pass, a part of them, and none.
        const kept = [-1, 20 * bytesOfRow, 0];
        for (const [i, chunkRows] of [0, 1, 7, 64, 10_000, 0, 7].entries()) {
          if (chunkRows === 1 && M > 100) continue;
          const keepBytes = kept[i % kept.length]!;
          const actual_M = linearLogprob(hidden_MD, weight_VD, targets_M, { chunkRows, keepBytes });
          expect(actual_M.dtype).toBe(wide);
          expect(actual_M).toBeCloseToTensor(expected_M, tolerance);
          const actual = grad([actual_M], [hidden_MD, weight_VD], { gradOutputs: [slope_M.to(wide)] });
          for (const i of [0, 1]) {
            expect(actual[i]?.dtype).toBe(dtype);
            expect(actual[i] as Tensor).toBeCloseToTensor(expected[i] as Tensor, gradTolerance);
          }
        }
      });
    }
  });

  test('a second backward pass over the same graph equals the first, whose kept rows are used up', () => {
    tidy(() => {
      const { hidden_MD, weight_VD, targets_M, slope_M } = problem(37, 16, 101, 'float64');
      const logprobs_M = linearLogprob(hidden_MD, weight_VD, targets_M);
      const pass = () =>
        grad([logprobs_M], [hidden_MD, weight_VD], { gradOutputs: [slope_M], retainGraph: true }) as Tensor[];
      const [first, second] = [pass(), pass()];
      for (const i of [0, 1]) expect(second[i]!).toBeCloseToTensor(first[i]!, 1e-12);
    });
  });

  test('NaN in a row stays NaN, and a row far from 0 is exact', () => {
    tidy(() => {
      const logits = [
        [Number.NaN, 1, 2],
        [1e4, 1e4 - 1, -1e4],
      ];
      const hidden_MD = tensor(logits.flat(), { shape: [2, 3], dtype: 'float32' });
      const identity = tensor([1, 0, 0, 0, 1, 0, 0, 0, 1], { shape: [3, 3], dtype: 'float32' });
      const clean = tensor([0, 0, 0, ...logits[1]!], { shape: [2, 3], dtype: 'float32' });
      const targets_M = tensor([1, 1], { dtype: 'int64' });
      expect(linearLogprob(hidden_MD, identity, targets_M).toList()[0]).toBeNaN();
      expect(linearLogprob(clean, identity, targets_M).toList()[1]).toBeCloseTo(-1 - Math.log1p(Math.exp(-1)), 6);
    });
  });

  test('gradients equal finite differences', () => {
    const { hidden_MD, weight_VD, targets_M, slope_M } = problem(4, 3, 5, 'float64');
    const loss = () => noGrad(() => linearLogprob(hidden_MD, weight_VD, targets_M).mul(slope_M).sum().item());
    linearLogprob(hidden_MD, weight_VD, targets_M).mul(slope_M).sum().backward();
    for (const input of [hidden_MD, weight_VD]) {
      const analytic = (input.grad as Tensor).toList();
      const flat = input.detach().view([-1]);
      const numeric = analytic.map((_, i) => {
        const step = 1e-6;
        const at = flat.narrow(0, i, 1);
        at.add_(step);
        const above = loss();
        at.sub_(2 * step);
        const below = loss();
        at.add_(step);
        return (above - below) / (2 * step);
      });
      expect(numeric).toBeCloseToTensor(analytic, 1e-8);
    }
  });

  test('only the gradients asked for are made', () => {
    const { hidden_MD, weight_VD, targets_M } = problem(6, 4, 9, 'float32');
    for (const [h, w] of [
      [true, false],
      [false, true],
    ] as const) {
      const [hidden, weight] = [hidden_MD.detach().requiresGrad_(h), weight_VD.detach().requiresGrad_(w)];
      linearLogprob(hidden, weight, targets_M).sum().backward();
      const both = grad([linearLogprob(hidden_MD, weight_VD, targets_M).sum()], [hidden_MD, weight_VD]);
      expect(hidden.grad === null).toBe(!h);
      expect(weight.grad === null).toBe(!w);
      const made = (h ? hidden.grad : weight.grad) as Tensor;
      expect(made).toBeCloseToTensor(both[h ? 0 : 1] as Tensor, 1e-6);
    }
    const none = linearLogprob(hidden_MD.detach(), weight_VD.detach(), targets_M);
    expect(none.requiresGrad).toBe(false);
  });

  test.each([
    [1, 2, 3],
    [64, 64, 128],
    [65, 66, 127],
    [131, 48, 1001],
  ])('bfloat16: gradients of %i rows, width %i, vocabulary %i are those of float64 within a rounding', (M, D, V) => {
    const threads = getNumThreads();
    for (const count of [1, 2]) {
      setNumThreads(count);
      tidy(() => {
        const { hidden_MD, weight_VD, targets_M, slope_M } = problem(M, D, V, 'bfloat16');
        const exact_M = composed(hidden_MD.to('float64'), weight_VD.to('float64'), targets_M);
        const exact = grad([exact_M], [hidden_MD, weight_VD], { gradOutputs: [slope_M] });
        for (const chunkRows of [0, 50]) {
          const of = (hidden: Tensor, weight: Tensor) => linearLogprob(hidden, weight, targets_M, { chunkRows });
          const slope = { gradOutputs: [slope_M.to('float32')] };
          const alone = [
            grad([of(hidden_MD, weight_VD.detach())], [hidden_MD], slope)[0]!,
            grad([of(hidden_MD.detach(), weight_VD)], [weight_VD], slope)[0]!,
          ];
          for (const [i, one] of grad([of(hidden_MD, weight_VD)], [hidden_MD, weight_VD], slope).entries()) {
            expect(relativeError(one!, exact[i]!)).toBeLessThan(2 ** -7);
            expect(alone[i]!.toList()).toEqual(one!.toList());
          }
        }
      });
    }
    setNumThreads(threads);
  });

  test('works on transposed and sliced inputs', () => {
    const { hidden_MD, weight_VD, targets_M } = problem(6, 4, 9, 'float64');
    const [h, w] = [hidden_MD.detach().t().contiguous().t(), weight_VD.detach().t().contiguous().t()];
    expect(linearLogprob(h, w, targets_M)).toBeCloseToTensor(composed(h, w, targets_M), 1e-12);
    const every = h.slice(0, 0, 6, 2);
    const some = targets_M.slice(0, 0, 6, 2);
    expect(linearLogprob(every, w, some)).toBeCloseToTensor(composed(every, w, some), 1e-12);
  });

  test('large logits neither overflow nor lose the answer', () => {
    const hidden = tensor([1000, -1000], { shape: [2, 1] });
    const weight = tensor([1, 0, -1], { shape: [3, 1] });
    const targets = tensor([0, 0], { dtype: 'int64' });
    expect(linearLogprob(hidden, weight, targets).toList()).toEqual([0, -2000]);
  });

  test('no rows give no log-probabilities and zero gradients', () => {
    const weight = ones([3, 2]).requiresGrad_();
    const out = linearLogprob(zeros([0, 2]), weight, zeros([0], { dtype: 'int64' }));
    expect(out.shape).toEqual([0]);
    out.sum().backward();
    expect(weight.grad?.toList()).toEqual([0, 0, 0, 0, 0, 0]);
  });

  test('a target outside the vocabulary is named with its row', () => {
    const call = (targets: number[]) => () =>
      linearLogprob(ones([3, 2]), ones([4, 2]), tensor(targets, { dtype: 'int64' }));
    expect(call([0, 3, 4])).toThrow('targets[2] is 4, outside the vocabulary 0..3');
    expect(call([0, -100, 4])).toThrow('targets[1] is -100, outside the vocabulary 0..3');
    expect(call([0, -100, 4])).toThrow(TorchError);
  });

  test('shapes, dtypes and a second derivative that do not fit are refused', () => {
    const [h, w, t] = [ones([3, 2]), ones([4, 2]), zeros([3], { dtype: 'int64' })];
    expect(() => linearLogprob(h, ones([4, 3]), t)).toThrow(/hidden has 2 features, weight has 3/);
    expect(() => linearLogprob(h, w, zeros([2], { dtype: 'int64' }))).toThrow(/hidden has 3 rows, targets has 2/);
    expect(() => linearLogprob(h.view([1, 3, 2]), w, t)).toThrow(
      /takes hidden \[M, D\], weight \[V, D\] and targets \[M\]/,
    );
    expect(() => linearLogprob(h, w.to('bfloat16'), t)).toThrow(/same floating dtype; got Float and BFloat16/);
    expect(() => linearLogprob(h, w, t.to('int32'))).toThrow(/targets must be int64; got Int/);
    h.requiresGrad_();
    expect(() => grad([linearLogprob(h, w, t).sum()], [h], { createGraph: true })).toThrow(/differentiated once only/);
  });

  test('meta tensors give the shape', () => {
    const [h, w] = [
      ones([3, 2], { device: 'meta', dtype: 'bfloat16' }),
      ones([4, 2], { device: 'meta', dtype: 'bfloat16' }),
    ];
    const out = linearLogprob(h, w, zeros([3], { device: 'meta', dtype: 'int64' }));
    expect([out.shape, out.dtype]).toEqual([[3], 'float32']);
  });

  test('the logits of all rows never exist at once', () => {
    const [M, D, V] = [4096, 16, 32_000];
    const allLogits = M * V * 4; // 524 MB
    tidy(() => {
      const { hidden_MD, weight_VD, targets_M } = problem(M, D, V, 'float32');
      const before = memory().peakRss;
      linearLogprob(hidden_MD, weight_VD, targets_M, { keepBytes: 0 }).sum().backward();
      expect(memory().peakRss - before).toBeLessThan(allLogits / 4);
      linearLogprob(hidden_MD, weight_VD, targets_M).sum().backward();
      expect(memory().peakRss - before).toBeLessThan(allLogits / 2);
    });
  });
});
