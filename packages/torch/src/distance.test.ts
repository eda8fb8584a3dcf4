import { expect, test } from 'vitest';
import { type DType, manualSeed, randn, squaredDistance, TorchError, tidy, zeros } from './index.js';

test.each([
  ['float32', 1e-6],
  ['float64', 1e-12],
  ['bfloat16', 1e-2],
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
