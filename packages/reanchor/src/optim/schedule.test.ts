import { expect, test } from 'vitest';
import { learningRateFactor } from './schedule.js';

const factors = (type: 'linear' | 'constant', warmupSteps: number, total: number) =>
  Array.from({ length: total }, (_, step) => learningRateFactor({ type, warmupSteps }, step, total));

test('linear: rises from 0 over the warm-up and falls towards 0 at the end', () => {
  expect(factors('linear', 2, 6)).toEqual([0, 0.5, 1, 0.75, 0.5, 0.25]);
});

test('constant: stays at 1 after the warm-up', () => {
  expect(factors('constant', 2, 4)).toEqual([0, 0.5, 1, 1]);
});

test('a warm-up below 1 is a share of the run, rounded up', () => {
  expect(factors('linear', 0.3, 5)).toEqual(factors('linear', 2, 5));
});

test('without a warm-up the first step has the full rate', () => {
  expect(factors('linear', 0, 4)).toEqual([1, 0.75, 0.5, 0.25]);
});
