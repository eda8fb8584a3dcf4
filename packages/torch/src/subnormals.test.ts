import { afterEach, beforeAll, expect, test } from 'vitest';
import { enableGrad, noGrad, ones, setFlushDenormal, setNumThreads, type Tensor, tensor, tidy } from './index.js';

// More elements than an operator gives one thread.
const many = 1 << 18;
beforeAll(() => setNumThreads(2));
afterEach(() => setFlushDenormal(true));

const valuesOf = (x: Tensor) => new Set(x.data() as Float32Array);
const small = Math.fround(Math.fround(1e-30) * Math.fround(1e-12));

/** 1e-30 times 1e-12 in float32, on both threads. */
const products = () => tidy(() => noGrad(() => valuesOf(ones([many]).mul(1e-30).mul(1e-12))));

test('numbers below the smallest normal one count as 0, on every thread', () => {
  expect(small).toBeGreaterThan(0);
  expect([...products()]).toEqual([0]);
  // What is given counts as 0 too.
  expect([...tidy(() => valuesOf(tensor(new Float32Array(many).fill(small)).mul(1e30)))]).toEqual([0]);
});

test('and in gradients', () => {
  tidy(() =>
    enableGrad(() => {
      const x = ones([many]).mul(1e-30).requiresGrad_();
      x.mul(1e-12).mul(1e-28).sum().backward();
      expect([...valuesOf(x.grad!)]).toEqual([0]);
    }),
  );
});

test('JavaScript has all of its numbers, before, between and after', () => {
  const all = () => [Number.MIN_VALUE * 1, 2 ** -1060 / 2, Math.fround(small), 1e-310 + 1e-310];
  const before = all();
  products();
  expect(all()).toEqual(before);
  expect(before.every((value) => value > 0)).toBe(true);
  expect(() => tensor([1]).view([2])).toThrow();
  expect(all()).toEqual(before);
});

test('they are kept where that is asked for, on every thread too, and normal numbers never change', () => {
  setFlushDenormal(false);
  expect([...products()]).toEqual([small]);
  const normal = () => tidy(() => ones([many]).mul(1.1).exp().sum().item());
  const kept = normal();
  setFlushDenormal(true);
  expect([...products()]).toEqual([0]);
  expect(normal()).toBe(kept);
});
