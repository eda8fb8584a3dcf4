import { expect, test } from 'vitest';
import { accuracyOf } from './accuracy.js';

test('wins count whole, ties half, losses nothing; nothing but ties is one half', () => {
  expect(accuracyOf([2, 1e-300, 0, -0, -3])).toBe(3 / 5);
  expect(accuracyOf([0, 0, 0])).toBe(0.5);
  expect(accuracyOf([1, 2])).toBe(1);
  expect(accuracyOf([-1e-300])).toBe(0);
  expect(accuracyOf([])).toBeNaN();
});

test('turned about it is one minus what it was', () => {
  const margins = [0.3, 0, -2, 5, 0, 1];
  expect(accuracyOf(margins.map((margin) => -margin))).toBeCloseTo(1 - accuracyOf(margins), 12);
});
