// Letters: N tokens, I inputs, O outputs, V vocabulary.
import { afterEach, describe, expect, test } from 'vitest';
import {
  grad,
  linear,
  linearLogprob,
  manualSeed,
  nativeConfig,
  noGrad,
  randn,
  setOneDnnProducts,
  type Tensor,
  tensor,
  tidy,
} from './index.js';
import { relativeError } from './testing/relative-error.js';

const byCpu = nativeConfig().products === 'oneDNN';
afterEach(() => setOneDnnProducts(byCpu));

const slopes = (of: Tensor, inputs: Tensor[], slope?: Tensor) =>
  grad([of], inputs, slope ? { gradOutputs: [slope] } : {}).map((one) => one!);

/** Large enough for oneDNN to be worth it, and none of their sizes a multiple of another. */
const sizes = { N: 301, I: 260, O: 257 };

function problem({ N, I, O }: typeof sizes) {
  manualSeed(N);
  const [x_NI, weight_OI, bias_O] = [randn([N, I]), randn([O, I]), randn([O])];
  for (const each of [x_NI, weight_OI, bias_O]) each.requiresGrad = true;
  return { x_NI, weight_OI, bias_O, slope_NO: randn([N, O]) };
}

describe.each([true, false])('products by oneDNN: %s', (isOn) => {
  test.each([true, false])('values and gradients are as exact as float32 is; with a bias: %s', (hasBias) => {
    setOneDnnProducts(isOn);
    tidy(() => {
      const { x_NI, weight_OI, bias_O, slope_NO } = problem(sizes);
      const inputs = hasBias ? [x_NI, weight_OI, bias_O] : [x_NI, weight_OI];
      const y_NO = linear(x_NI, weight_OI, hasBias ? bias_O : undefined);
      const actual = [y_NO, ...slopes(y_NO, inputs, slope_NO)];
      const product_NO = x_NI.to('float64').matmul(weight_OI.to('float64').t());
      const exact_NO = hasBias ? product_NO.add(bias_O.to('float64')) : product_NO;
      const exact = [exact_NO, ...slopes(exact_NO, inputs, slope_NO.to('float64'))];
      for (const [i, one] of exact.entries()) {
        expect(actual[i]!.shape).toEqual(one.shape);
        expect(relativeError(actual[i]!, one)).toBeLessThan(1e-6);
      }
    });
  });

  test('only what is asked for has a gradient, and parts of larger tensors are taken as they lie', () => {
    setOneDnnProducts(isOn);
    tidy(() => {
      const { x_NI, weight_OI, bias_O, slope_NO } = problem(sizes);
      const whole = randn([sizes.N, 2 * sizes.I]);
      const part_NI = whole.narrow(1, 3, sizes.I);
      const exact = part_NI.to('float64').matmul(weight_OI.to('float64').t());
      expect(relativeError(linear(part_NI, weight_OI), exact)).toBeLessThan(1e-6);
      expect(noGrad(() => linear(x_NI, weight_OI, bias_O)).requiresGrad).toBe(false);
      for (const [frozen, trained] of [
        [weight_OI, x_NI],
        [x_NI, weight_OI],
      ] as const) {
        const y_NO = linear(
          trained === x_NI ? x_NI : frozen.detach(),
          trained === weight_OI ? weight_OI : frozen.detach(),
        );
        expect(slopes(y_NO, [trained], slope_NO)[0]!.shape).toEqual(trained.shape);
      }
    });
  });

  test('so are log-probabilities of a head, whose rows are taken in chunks', () => {
    setOneDnnProducts(isOn);
    tidy(() => {
      const [hidden_ND, weight_VD] = [randn([180, 96]), randn([2100, 96])];
      for (const each of [hidden_ND, weight_VD]) each.requiresGrad = true;
      const targets_N = tensor(
        Array.from({ length: 180 }, (_, n) => (n * 7919) % 2100),
        { dtype: 'int64' },
      );
      const of = (hidden: Tensor, weight: Tensor) => linearLogprob(hidden, weight, targets_N, { chunkRows: 100 });
      const exact_N = of(hidden_ND.to('float64'), weight_VD.to('float64'));
      const actual_N = of(hidden_ND, weight_VD);
      expect(relativeError(actual_N, exact_N)).toBeLessThan(1e-6);
      const exact = slopes(exact_N.sum(), [hidden_ND, weight_VD]);
      for (const [i, one] of slopes(actual_N.sum(), [hidden_ND, weight_VD]).entries()) {
        expect(relativeError(one, exact[i]!)).toBeLessThan(1e-5);
      }
    });
  });
});

test('small products, and those of other dtypes, are the same by either, to the bit', () => {
  tidy(() =>
    noGrad(() => {
      const small = problem({ N: 40, I: 32, O: 24 });
      const { x_NI, weight_OI, bias_O } = problem(sizes);
      const values = () => [
        linear(small.x_NI, small.weight_OI, small.bias_O).data(),
        linear(x_NI.to('float64'), weight_OI.to('float64'), bias_O.to('float64')).data(),
        linear(x_NI.unsqueeze(0), weight_OI, bias_O).data(),
      ];
      setOneDnnProducts(true);
      const ours = values();
      setOneDnnProducts(false);
      expect(values()).toEqual(ours);
    }),
  );
});

test('what oneDNN has computed says that it is differentiable once, and shapes that do not fit are named', () => {
  setOneDnnProducts(true);
  tidy(() => {
    const { x_NI, weight_OI } = problem(sizes);
    const loss = linear(x_NI, weight_OI).sum();
    expect(() => grad([loss], [x_NI], { createGraph: true })).toThrow('linear can be differentiated once only');
    expect(() => linear(x_NI, weight_OI.t())).toThrow(/float32\[301, 260\].*float32\[260, 257\]/);
  });
});
