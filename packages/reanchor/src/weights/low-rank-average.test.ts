import { manualSeed, memory, randn, resetPeak, type Tensor, tidy } from '@reanchor/torch';
import { expect, test } from 'vitest';
import { moveProducts_, type Product, putInto_, squaredNorm } from './low-rank-average.js';

const random = ([o, i, r]: readonly [number, number, number], scale: number): Product => ({
  b_OR: randn([o, r]),
  a_RI: randn([r, i]),
  scale,
});

const dense = ({ a_RI, b_OR, scale }: Product): Tensor => b_OR.to('float64').matmul(a_RI.to('float64')).mul(scale);
const norm = (x: Tensor) => x.linalgVectorNorm(2).item();

/** `product` kept at a higher rank. */
function atRank({ a_RI, b_OR, scale }: Product, rank: number): Product {
  const [wideA, wideB] = [randn([rank, a_RI.shape[1]!]), randn([b_OR.shape[0]!, rank])];
  putInto_(wideA, a_RI);
  putInto_(wideB, b_OR);
  return { a_RI: wideA, b_OR: wideB, scale };
}

test('a product is itself at a higher rank', () => {
  manualSeed(1);
  tidy(() => {
    const product = random([9, 7, 3], 0.5);
    const wide = atRank(product, 5);
    expect(wide.a_RI.shape).toEqual([5, 7]);
    expect(dense(wide)).toBeCloseToTensor(dense(product), 1e-7);
  });
});

/** Bytes at the peak of what `use` does with two adapters of so many layers, and those of the two. */
function peakOf(layers: number, use: (one: Product[], other: Product[]) => void) {
  return tidy(() => {
    const before = memory().tensorBytes;
    const [one, other] = [1, 2].map(() => Array.from({ length: layers }, () => random([300, 200, 4], 1)));
    resetPeak();
    const factors = memory().tensorBytes - before;
    use(one!, other!);
    return { peak: memory().peakTensorBytes - before - factors, factors };
  });
}

test('the distance of products takes the memory of one layer', () => {
  expect(peakOf(20, squaredNorm).peak).toBeLessThan(1.1 * peakOf(1, squaredNorm).peak);
});

test('products that move take less than twice the memory of their factors', () => {
  const { peak, factors } = peakOf(20, (one, other) => moveProducts_(one, other, 0.3));
  expect(peak / factors).toBeLessThan(2);
});

test('norm and distance of products are those of the matrices, and 0 of equal ones', () => {
  manualSeed(2);
  tidy(() => {
    const [one, other] = [
      [9, 7, 3],
      [5, 12, 4],
    ].map((size, i) => [
      random(size as [number, number, number], i + 0.5),
      random(size as [number, number, number], 2),
    ]) as [Product[], Product[]];
    const [mine, theirs] = [
      [one[0]!, other[0]!],
      [one[1]!, other[1]!],
    ];
    const apart = Math.hypot(...mine.map((product, i) => norm(dense(product).sub(dense(theirs[i]!)))));
    expect(Math.sqrt(squaredNorm(mine, theirs))).toBeCloseTo(apart, 10);
    expect(Math.sqrt(squaredNorm(mine))).toBeCloseTo(Math.hypot(...mine.map((product) => norm(dense(product)))), 10);
    expect(
      Math.sqrt(
        squaredNorm(
          mine,
          mine.map((product) => atRank(product, 6)),
        ),
      ),
    ).toBeLessThan(1e-6);
    expect(squaredNorm([])).toBe(0);
  });
});

test('at full rank the average of products is that of the matrices, however often it moves', () => {
  manualSeed(3);
  const before = memory().liveTensors;
  tidy(() => {
    const start = random([6, 10, 2], 2);
    const reference = [atRank(start, 6), atRank(start, 6)];
    let expected = dense(start);
    for (let step = 0; step < 20; step++) {
      const policy = random([6, 10, 2], 2);
      const cut = moveProducts_(reference, [policy, policy], 0.3);
      expected = expected.mul(0.7).add(dense(policy).mul(0.3));
      expect(cut).toBe(0);
    }
    for (const one of reference) expect(norm(dense(one).sub(expected)) / norm(expected)).toBeLessThan(1e-6);
  });
  expect(memory().liveTensors).toBe(before);
});

test('at a lower rank it is the nearest matrix of that rank, and what is cut off is told', () => {
  manualSeed(4);
  tidy(() => {
    const start = random([8, 11, 3], 0.5);
    const policy = random([8, 11, 3], 0.5);
    const reference = atRank(start, 3);
    const average = dense(start).mul(0.6).add(dense(policy).mul(0.4));
    const cut = moveProducts_([reference], [policy], 0.4);
    expect(Math.sqrt(cut)).toBeCloseTo(norm(dense(reference).sub(average)), 5);
    const values = singularValues(average);
    expect(Math.sqrt(cut)).toBeCloseTo(Math.hypot(...values.slice(3)), 5);
  });
});

test('an average of nothing stays nothing', () => {
  tidy(() => {
    const nothing = (r: number): Product => ({ ...random([4, 5, r], 1), b_OR: randn([4, r]).mul(0) });
    const reference = nothing(4);
    expect(moveProducts_([reference], [nothing(2)], 0.5)).toBe(0);
    expect(norm(dense(reference))).toBe(0);
  });
});

/** Singular values by one-sided Jacobi rotations: another way than the one that is tested. */
function singularValues(matrix: Tensor): number[] {
  const [rows, columns] = matrix.shape as [number, number];
  const flat = matrix.toList();
  const vectors = Array.from({ length: rows }, (_, r) => flat.slice(r * columns, (r + 1) * columns));
  const dot = (a: number[], b: number[]) => a.reduce((sum, value, i) => sum + value * b[i]!, 0);
  for (let sweep = 0; sweep < 60; sweep++) {
    for (let p = 0; p < rows; p++) {
      for (let q = p + 1; q < rows; q++) {
        const [x, y] = [vectors[p]!, vectors[q]!];
        const angle = 0.5 * Math.atan2(2 * dot(x, y), dot(x, x) - dot(y, y));
        const [c, s] = [Math.cos(angle), Math.sin(angle)];
        vectors[p] = x.map((value, i) => c * value + s * y[i]!);
        vectors[q] = x.map((value, i) => c * y[i]! - s * value);
      }
    }
  }
  return vectors.map((vector) => Math.sqrt(dot(vector, vector))).sort((a, b) => b - a);
}
