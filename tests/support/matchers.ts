import { expect } from 'vitest';

interface Numbers {
  toList(): number[];
}

/** The largest |a - b| / max(1, |b|) of two equally long lists. */
export function largestDifference(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  let largest = 0;
  for (let i = 0; i < expected.length; i++) {
    const difference = Math.abs(actual[i]! - expected[i]!) / Math.max(1, Math.abs(expected[i]!));
    if (!(difference <= largest)) largest = difference;
  }
  return largest;
}

const list = (value: Numbers | ArrayLike<number>) => ('toList' in value ? value.toList() : value);

expect.extend({
  /** Equal lengths, and every |actual - expected| <= tolerance * max(1, |expected|). */
  toBeCloseToTensor(actual: Numbers | ArrayLike<number>, expected: Numbers | ArrayLike<number>, tolerance: number) {
    const [a, b] = [list(actual), list(expected)];
    const difference = a.length === b.length ? largestDifference(a, b) : Number.NaN;
    return {
      pass: difference <= tolerance,
      message: () =>
        a.length === b.length
          ? `largest difference ${difference} against a tolerance of ${tolerance}`
          : `${a.length} numbers against ${b.length}`,
    };
  },
});

declare module 'vitest' {
  interface Matchers<T> {
    toBeCloseToTensor(expected: Numbers | ArrayLike<number>, tolerance: number): T;
  }
}
