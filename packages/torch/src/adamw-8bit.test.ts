import { describe, expect, test } from 'vitest';
import { adamw8bit_, adamw8bitBlock, adamw8bitComposed_, type Moment8bit } from './adamw-8bit.js';
import { dynamicMap } from './dynamic-map.js';
import { fusedAdamw_, manualSeed, randn, setNumThreads, type Tensor, tensor, tidy, zeros } from './index.js';

const rates = { lr: 0.01, beta1: 0.9, beta2: 0.95, eps: 1e-8, weightDecay: 0.1 };

const fresh = (n: number): Moment8bit => ({
  // What they stand for is nothing times absmax.
  codes: zeros([n], { dtype: 'uint8' }),
  absmax: zeros([Math.ceil(n / adamw8bitBlock)]),
});

const valuesOf = ({ codes, absmax }: Moment8bit, signed: boolean): number[] => {
  const [map, most] = [dynamicMap({ isSigned: signed }), absmax.toList() as number[]];
  return (codes.toList() as number[]).map((code, i) => map[code]! * most[Math.floor(i / adamw8bitBlock)]!);
};

/** Steps with gradients of very different sizes, beside the fused step with float32 moments. */
function compare(n: number, steps: number, seed = 1) {
  manualSeed(3);
  const sizes = randn([n]).mul(2).exp();
  const [own, exact] = [zeros([n]), zeros([n])];
  const [mean, root] = [fresh(n), fresh(n)];
  const [means, squares, count] = [zeros([n]), zeros([n]), zeros([])];
  for (let step = 1; step <= steps; step++) {
    const gradient = randn([n]).add(0.5).mul(sizes);
    adamw8bit_(own, gradient, { mean, root }, { ...rates, step, seed });
    count.add_(1);
    const { lr, beta1, beta2, eps, weightDecay } = rates;
    const others = { lr, beta1, beta2, weightDecay, eps, amsgrad: false, maximize: false };
    fusedAdamw_([exact], [gradient], [means], [squares], [], [count], others);
  }
  return { own, exact, mean, root, means, squares };
}

type Sides = { parameter: Tensor; mean: Moment8bit; root: Moment8bit };
const rms = (x: Tensor) => Math.sqrt(x.mul(x).mean().item());

describe('AdamW with moments of 8 bits', () => {
  test('makes the first step of AdamW, whose moments are exact until they are kept', () => {
    tidy(() => {
      const { own, exact } = compare(1000, 1);
      expect(rms(own.sub(exact)) / rms(exact)).toBeLessThan(1e-6);
    });
  });

  test('keeps moments as their shares of the largest of a block, each as one of the two values around it', () => {
    tidy(() => {
      const { mean, root, means, squares } = compare(1000, 1);
      for (const [moment, of, signed] of [
        [mean, means.toList() as number[], true],
        [root, (squares.toList() as number[]).map(Math.sqrt), false],
      ] as const) {
        const [map, kept, most] = [
          dynamicMap({ isSigned: signed }),
          valuesOf(moment, signed),
          moment.absmax.toList() as number[],
        ];
        for (const [i, value] of of.entries()) {
          const largest = most[Math.floor(i / adamw8bitBlock)]!;
          const share = value / largest;
          const above = map.findIndex((one) => one > share + 1e-6);
          const [low, high] = [map[Math.max(0, (above === -1 ? 256 : above) - 2)]!, map[above === -1 ? 255 : above]!];
          expect(kept[i]! / largest).toBeGreaterThanOrEqual(low - 1e-6);
          expect(kept[i]! / largest).toBeLessThanOrEqual(high + 1e-6);
        }
      }
    });
  });

  test('on average rounds to what is given', () => {
    tidy(() => {
      // One value in all elements but the first, which is the largest of its block.
      const n = 200 * adamw8bitBlock;
      const values = new Float32Array(n).fill(0.3137);
      for (let i = 0; i < n; i += adamw8bitBlock) values[i] = 1;
      const [mean, root] = [fresh(n), fresh(n)];
      adamw8bit_(zeros([n]), tensor(values), { mean, root }, { ...rates, beta1: 0, beta2: 0, step: 1, seed: 5 });
      for (const [moment, signed] of [
        [mean, true],
        [root, false],
      ] as const) {
        const kept = valuesOf(moment, signed).filter((_, i) => i % adamw8bitBlock !== 0);
        const average = kept.reduce((a, b) => a + b, 0) / kept.length;
        const spacing = Math.max(...kept) - Math.min(...kept);
        expect(spacing).toBeGreaterThan(1e-3);
        expect(Math.abs(average - 0.3137)).toBeLessThan((4 * spacing) / 2 / Math.sqrt(kept.length));
      }
    });
  });

  test('stays beside AdamW over 200 steps', () => {
    tidy(() => {
      const { own, exact } = compare(5000, 200);
      // Rounded at random, an element is not where it would be, and all of them together are.
      expect(rms(own.sub(exact)) / rms(exact)).toBeLessThan(0.12);
      expect(own.sum().item() / exact.sum().item()).toBeCloseTo(1, 1);
    });
  });

  test('is a function of its seed, whatever the number of threads', () => {
    const bits = (seed: number) => tidy(() => compare(3 * 65_536, 3, seed).own.data());
    setNumThreads(1);
    const one = bits(1);
    setNumThreads(2);
    expect(bits(1)).toEqual(one);
    expect(bits(2)).not.toEqual(one);
  });

  test('by plain operators it is the same, but for the rounding of float32', () => {
    tidy(() => {
      for (const n of [7, 256, 1000]) {
        const states = [0, 1].map(() => ({ parameter: zeros([n]), mean: fresh(n), root: fresh(n) })) as [Sides, Sides];
        for (let step = 1; step <= 5; step++) {
          const gradient = randn([n]).mul(randn([n]).exp());
          const options = { ...rates, step, seed: 7 };
          adamw8bit_(states[0].parameter, gradient, states[0], options);
          adamw8bitComposed_(states[1].parameter, gradient, states[1], options);
          const [one, other] = states;
          expect(rms(one.parameter.sub(other.parameter)) / rms(one.parameter)).toBeLessThan(1e-6);
          for (const moment of ['mean', 'root'] as const) {
            const [codes, others] = [one[moment].codes.toList() as number[], other[moment].codes.toList() as number[]];
            // Where a chance is as large as a share, the last bit of the share decides.
            expect(codes.filter((code, i) => code !== others[i]).length).toBeLessThanOrEqual(Math.ceil(n / 500));
            expect(one[moment].absmax.allclose(other[moment].absmax, 1e-6)).toBe(true);
          }
        }
      }
    });
  });

  test('takes bfloat16, and refuses what it does not take', () => {
    tidy(() => {
      const n = 600;
      const options = { ...rates, step: 1, seed: 1 };
      const parameter = zeros([n], { dtype: 'bfloat16' });
      const state = { mean: fresh(n), root: fresh(n) };
      adamw8bit_(parameter, parameter.add(1), state, options);
      expect(parameter.toList()[0]).toBeCloseTo(-0.01, 4);
      expect(() => adamw8bit_(zeros([n], { dtype: 'float64' }), zeros([n]), state, options)).toThrow(
        /float32 and bfloat16/,
      );
      expect(() => adamw8bit_(zeros([n + 1]), zeros([n + 1]), state, options)).toThrow(/one for each of 601/);
      expect(() => adamw8bit_(zeros([n]), zeros([n - 1]), state, options)).toThrow(/the gradient has shape/);
    });
  });
});
