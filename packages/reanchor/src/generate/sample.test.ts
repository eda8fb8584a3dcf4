import { tensor, tidy } from '@reanchor/torch';
import { expect, test } from 'vitest';
import { uniforms } from '../random.js';
import { drawFromNucleus, nucleusSize } from './nucleus.js';
import { type SamplingOptions, sample } from './sample.js';

/** How often each token is drawn of `draws`, from a distribution. */
function counts(probabilities: readonly number[], options: SamplingOptions, draws = 20_000): number[] {
  const count = probabilities.map(() => 0);
  const next = uniforms(11);
  const batch = 100;
  tidy(() => {
    const row = probabilities.map(Math.log);
    const logits = tensor(Float64Array.from(Array.from({ length: batch }, () => row).flat()), {
      shape: [batch, row.length],
    });
    for (let i = 0; i < draws / batch; i++) {
      for (const token of sample(logits, options, new Array(batch).fill(next)).tokens) count[token]! += 1;
    }
  });
  return count;
}

/** Pearson's statistic of counts against a distribution. */
const chiSquare = (count: readonly number[], expected: readonly number[]) => {
  const total = count.reduce((sum, n) => sum + n, 0);
  return count.reduce(
    (sum, n, i) => (expected[i] === 0 ? sum + n * 1e9 : sum + (n - total * expected[i]!) ** 2 / (total * expected[i]!)),
    0,
  );
};
const normalised = (weights: readonly number[]) => weights.map((w) => w / weights.reduce((a, b) => a + b, 0));
const given = [0.1, 0.4, 0.05, 0.25, 0.2];

test.each([
  ['temperature 1', { temperature: 1 }, given],
  ['temperature 0.5 squares the probabilities', { temperature: 0.5 }, normalised(given.map((p) => p * p))],
  ['top-k keeps the largest', { temperature: 1, topK: 2 }, normalised([0, 0.4, 0, 0.25, 0])],
  ['top-p keeps what it takes to reach it', { temperature: 1, topP: 0.6 }, normalised([0, 0.4, 0, 0.25, 0])],
  ['top-p counts what top-k has left', { temperature: 1, topK: 2, topP: 0.6 }, [0, 1, 0, 0, 0]],
  ['top-k beyond the vocabulary keeps all', { temperature: 1, topK: 99 }, given],
] as const)('%s', (_, options, expected) => {
  // 0.999 quantile for 4 degrees of freedom.
  expect(chiSquare(counts(given, options), expected)).toBeLessThan(18.5);
});

test('temperature 0 takes the most probable token and gives its log-probability under all tokens', () => {
  tidy(() => {
    const logits = tensor(Float64Array.from([0, 2, 1, 1, 0, 3]), { shape: [2, 3] });
    const { tokens, logprobs } = sample(logits, { temperature: 0 }, []);
    expect(tokens).toEqual([1, 2]);
    expect(logprobs[0]).toBeCloseTo(2 - Math.log(1 + Math.exp(2) + Math.exp(1)), 14);
  });
});

test('a nucleus has one token at least, and stops at the first sum that is reached', () => {
  expect(nucleusSize([0.5, 0.3, 0.2], 0.5)).toBe(1);
  expect(nucleusSize([0.5, 0.3, 0.2], 0.51)).toBe(2);
  expect(nucleusSize([0.5, 0.3, 0.2], 1)).toBe(3);
  expect(nucleusSize([0.5, 0.3, 0.2], 1e-9)).toBe(1);
});

test('a nucleus of more tokens than the first candidates is drawn from without sorting, and is the sorted one', () => {
  const next = uniforms(5);
  const weights = Float32Array.from({ length: 300 }, () => next() ** 3 + 0.1);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const probabilities = weights.map((weight) => weight / total);
  for (const topP of [0.3, 0.8, 0.95, 1]) {
    const sorted = probabilities.toSorted().toReversed();
    const least = sorted[nucleusSize(sorted, topP) - 1]!;
    const expected = normalised(Array.from(probabilities, (p) => (p >= least ? p : 0)));
    const count = probabilities.map(() => 0);
    for (let i = 0; i < 20_000; i++) count[drawFromNucleus(probabilities, topP, next())]! += 1;
    const kept = expected.filter((p) => p > 0).length;
    // Mean k - 1 and deviation sqrt(2 (k - 1)) of chi-square; four deviations.
    expect(chiSquare([...count], expected)).toBeLessThan(kept - 1 + 4 * Math.sqrt(2 * (kept - 1)));
  }
  tidy(() => {
    const logits = tensor(probabilities.map(Math.log), { shape: [1, 300] });
    const least = probabilities.toSorted().toReversed()[nucleusSize(probabilities.toSorted().toReversed(), 0.9) - 1]!;
    for (let i = 0; i < 300; i++) {
      const [token] = sample(logits, { temperature: 1, topP: 0.9 }, [next]).tokens;
      expect(probabilities[token!]).toBeGreaterThanOrEqual(least * (1 - 1e-5));
    }
  });
});

test('of equal weights a nucleus takes as many as it needs, the first first', () => {
  const equal = new Float64Array(10).fill(0.1);
  const drawn = new Set(Array.from({ length: 100 }, (_, i) => drawFromNucleus(equal, 0.35, i / 100)));
  expect([...drawn].sort()).toEqual([0, 1, 2, 3]);
  expect(drawFromNucleus(Float64Array.of(0, 0.2, 0.8), 0.5, 0.99)).toBe(2);
  expect(drawFromNucleus(Float64Array.of(0, 0.2, 0.8), 1, 0.1)).toBe(1);
});

test('logits that are not numbers are an error, not token 0', () => {
  tidy(() => {
    const logits = tensor(Float64Array.of(0, Number.NaN, 1), { shape: [1, 3] });
    for (const temperature of [0, 1]) {
      expect(() => sample(logits, { temperature }, [() => 0.5])).toThrow(/not numbers/);
    }
  });
});
