import { expect, test } from 'vitest';
import {
  type DType,
  foreachLerp_,
  manualSeed,
  moveTowards_,
  randn,
  squaredDistance,
  TorchError,
  tidy,
  zeros,
} from './index.js';

test.each([
  ['float32', 1e-6],
  ['float64', 1e-12],
  ['bfloat16', 1e-6],
  ['float16', 1e-2],
] as const)('%s: equals the sum of squares, element by element', (dtype: DType, tolerance) => {
  tidy(() => {
    manualSeed(1);
    const shapes = [[3], [1000, 77], [200_001], [0]];
    const [a, b] = [0, 1].map(() => shapes.map((shape) => randn(shape, { dtype: 'float64' }).to(dtype)));
    const squares = (x: number[], y: number[]) => x.reduce((sum, value, i) => sum + (value - y[i]!) ** 2, 0);
    const expected = a!.reduce((sum, x, i) => sum + squares(x.toList(), b![i]!.toList()), 0);
    expect(Math.abs(squaredDistance(a!, b!) / expected - 1)).toBeLessThan(tolerance);
    const norm = a!.reduce((sum, x) => sum + squares(x.toList(), new Array(x.numel).fill(0)), 0);
    expect(Math.abs(squaredDistance(a!) / norm - 1)).toBeLessThan(tolerance);
    expect(squaredDistance(a!, a!)).toBe(0);
  });
});

test('float32 and bfloat16 are compared as they are', () => {
  tidy(() => {
    manualSeed(3);
    const [a, b] = [randn([70_001]), randn([70_001]).to('bfloat16')];
    const [x, y] = [a.toList(), b.toList()];
    const expected = x.reduce((sum, value, i) => sum + (value - y[i]!) ** 2, 0);
    expect(squaredDistance([a], [b]) / expected).toBeCloseTo(1, 6);
    expect(squaredDistance([b], [a]) / expected).toBeCloseTo(1, 6);
  });
});

test('one element that differs by one unit in its last place is seen, and strides do not matter', () => {
  tidy(() => {
    manualSeed(2);
    const a = randn([300, 400]);
    const b = a.clone();
    b.view([-1])
      .narrow(0, 77_777, 1)
      .mul_(1 + 2 ** -23);
    expect(squaredDistance([a], [b])).toBeGreaterThan(0);
    expect(squaredDistance([a.transpose(0, 1)], [a.clone().transpose(0, 1)])).toBe(0);
  });
});

test('lists and shapes that do not fit are refused', () => {
  tidy(() => {
    expect(() => squaredDistance([zeros([2])], [zeros([2]), zeros([2])])).toThrow(TorchError);
    expect(() => squaredDistance([zeros([2])], [zeros([3])])).toThrow(/shape \[2\] in a and \[3\] in b/);
  });
});

test.each([
  ['float32', 'float32', 0.3],
  ['float32', 'float32', 0.6],
  ['float32', 'float32', 1],
  ['float64', 'float64', 0.01],
  ['float32', 'bfloat16', 0.01],
  ['bfloat16', 'bfloat16', 0.5],
] as const)('%s moved towards %s by a share of %d, and the distances of that', (dtype, other, share) => {
  tidy(() => {
    manualSeed(3);
    const shapes = [[5], [1000, 77], [200_003], [0]];
    const a = shapes.map((shape) => randn(shape, { dtype: 'float64' }).to(dtype));
    const b = shapes.map((shape) => randn(shape, { dtype: 'float64' }).to(other));
    const expected = a.map((x) => x.clone());
    const before = squaredDistance(a, b);
    foreachLerp_(
      expected,
      b.map((x) => x.to(dtype)),
      share,
    );
    const moved = moveTowards_(a, b, share);
    for (const [i, x] of a.entries()) {
      if (share === 1) expect(x.sub(b[i]!).abs().sum().item()).toBe(0);
      if (x.numel > 0) expect(x.sub(expected[i]!).abs().max().item()).toBeLessThan(dtype === 'float32' ? 1e-6 : 1e-14);
    }
    expect(Math.abs(moved.before / before - 1)).toBeLessThan(1e-6);
    expect(moved.after).toBeCloseTo(squaredDistance(a, b), dtype === 'bfloat16' ? 0 : 1);
    expect(Math.abs(moved.norm / squaredDistance(a) - 1)).toBeLessThan(1e-6);
  });
});

test('a tensor is moved through its strides, also when it asks for a gradient', () => {
  tidy(() => {
    const [a, b] = [zeros([2, 3]), zeros([3, 2]).add(4)];
    a.requiresGrad = true;
    const { before, after, norm } = moveTowards_([a], [b.transpose(0, 1)], 0.25);
    for (const [found, expected] of [
      [before, 96],
      [after, 54],
      [norm, 6],
    ] as const) {
      expect(found).toBeCloseTo(expected, 9);
    }
    expect(a.toList()).toEqual([1, 1, 1, 1, 1, 1]);
    expect(() => moveTowards_([a], [b], 0.5)).toThrow(/shape \[2, 3\] in a and \[3, 2\] in b/);
  });
});
