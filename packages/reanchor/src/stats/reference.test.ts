// Against scikit-learn, scipy, numpy and mpmath: tests/oracle/make_stats.py.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { fixtures } from '../../../../tests/support/repository.js';
import { uniforms } from '../random.js';
import { clusterBootstrap, pairedBootstrap } from './bootstrap.js';
import { type Battle, bradleyTerry } from './bradley-terry.js';
import { probabilityOfImprovement, type ScoredAnswer } from './improvement.js';
import { fitL1Logistic, targetMoments } from './logistic.js';
import { binomialTest, clusterSignTest, normalQuantile, wilsonInterval } from './proportion.js';
import { studentMean, studentQuantile, studentTails, welchDifference } from './student.js';
import { mean, quantile, standardError } from './summary.js';

interface Tested {
  p: number;
  interval: [number, number];
}
interface Reference {
  wilson: { k: number; n: number; level: number; interval: [number, number] }[];
  binomial: { k: number; n: number; p: number; value: number }[];
  normal: [number, number][];
  l1: {
    features: number[][];
    targets: number[];
    weights: number[];
    cases: { C: number; coefficients: number[] }[];
  };
  bradleyTerry: { players: string[]; battles: Battle[]; ratings: number[]; controlled: number[] };
  improvement: { x: ScoredAnswer[]; y: ScoredAnswer[]; probability: number; low: number; high: number };
  clusters: { values: number[][]; mean: number; low: number; high: number; p: number; signs: number };
  student: {
    tails: [t: number, freedom: number, p: number][];
    quantiles: [p: number, freedom: number, t: number][];
    x: number[];
    y: number[];
    mean: Tested;
    difference: Tested;
  };
  paired: {
    differences: number[];
    low: number;
    high: number;
    p: number;
    mean: number;
    sem: number;
    quantiles: [number, number][];
  };
}
const reference = JSON.parse(readFileSync(join(fixtures, 'stats/reference.json'), 'utf8')) as Reference;

test('normal quantiles and Wilson intervals are those of scipy', () => {
  for (const [p, x] of reference.normal) expect(Math.abs(normalQuantile(p) - x)).toBeLessThan(2e-10);
  for (const { k, n, level, interval } of reference.wilson) {
    const { low, high } = wilsonInterval(k, n, level);
    expect([low, high]).toBeCloseToTensor(interval, 1e-13);
  }
});

test('the exact binomial test is that of scipy', () => {
  for (const { k, n, p, value } of reference.binomial) {
    expect(Math.abs(binomialTest(k, n, p) - value), `${k} of ${n}, ${p}`).toBeLessThan(1e-11);
  }
});

describe('L1-penalised logistic regression reaches the optimum, found in 40 digits', () => {
  const { features, targets, weights, cases } = reference.l1;
  test.each(cases)('C = $C', ({ C, coefficients }) => {
    const fit = fitL1Logistic({ features, weights, moments: targetMoments(features, targets, weights), C });
    expect(fit.coefficients).toBeCloseToTensor(coefficients, 1e-10);
    expect(fit.coefficients.map((w) => w === 0)).toEqual(coefficients.map((w) => w === 0));
    expect(fit.residual).toBeLessThan(1e-13);
  });

  test('the cases hold coefficients that are exactly zero and some that are not', () => {
    const all = cases.flatMap(({ coefficients }) => coefficients);
    expect(all.filter((w) => w === 0).length).toBeGreaterThan(2);
    expect(all.filter((w) => w !== 0).length).toBeGreaterThan(10);
  });
});

test('Bradley-Terry ratings are those of an unpenalised logistic regression', () => {
  const { players, battles, ratings, controlled } = reference.bradleyTerry;
  const plain = bradleyTerry(
    battles.map((battle) => ({ ...battle, covariates: undefined })),
    { anchor: 'a' },
  );
  expect(plain.players).toEqual(players);
  expect(plain.ratings).toBeCloseToTensor(ratings, 1e-10);
  const withCovariates = bradleyTerry(battles, { anchor: 'a' });
  expect([...withCovariates.ratings, ...withCovariates.coefficients]).toBeCloseToTensor(controlled, 1e-10);
});

test('the probability of improvement is the statistic of Mann and Whitney, its interval draws prompts', () => {
  const { x, y, probability, low, high } = reference.improvement;
  const found = probabilityOfImprovement(x, y, { random: uniforms(7), resamples: 20_000 });
  expect(Math.abs(found.probability - probability)).toBeLessThan(1e-12);
  expect(found.clusters).toBe(40);
  // Two bootstraps of 20,000 differ by about 0.001 in their quantiles.
  expect(Math.abs(found.low - low)).toBeLessThan(0.005);
  expect(Math.abs(found.high - high)).toBeLessThan(0.005);
});

test('the bootstrap and the sign test of clusters are those of numpy and scipy', () => {
  const { values, signs, ...expected } = reference.clusters;
  const found = clusterBootstrap(values, { random: uniforms(7), resamples: 50_000 });
  expect(found).toMatchObject({ clusters: 25, values: values.flat().length });
  expect(found.estimate).toBeCloseTo(expected.mean, 14);
  expect(Math.abs(found.low - expected.low)).toBeLessThan(0.01);
  expect(Math.abs(found.high - expected.high)).toBeLessThan(0.01);
  expect(Math.abs(found.p - expected.p)).toBeLessThan(0.01);
  expect(clusterSignTest(values)).toBeCloseTo(signs, 12);
});

test("Student's distribution, its intervals and Welch's are those of scipy", () => {
  const { tails, quantiles, x, y, mean: one, difference } = reference.student;
  for (const [t, freedom, p] of tails) {
    expect(Math.abs(studentTails(-t, freedom) - p), `${t} ${freedom}`).toBeLessThanOrEqual(1e-11 * p);
  }
  for (const [p, freedom, t] of quantiles) {
    expect(Math.abs(studentQuantile(p, freedom) / t - 1), `${p} ${freedom}`).toBeLessThan(1e-11);
  }
  const tested = [
    [studentMean(x, 0.9), one],
    [welchDifference(x, y, 0.9), difference],
  ] as const;
  for (const [{ interval, p }, expected] of tested) {
    expect([interval!.low, interval!.high, p!]).toBeCloseToTensor([...expected.interval, expected.p], 1e-11);
  }
});

test('mean, standard error, quantiles and paired bootstrap are those of numpy and scipy', () => {
  const { differences, quantiles, ...expected } = reference.paired;
  expect([mean(differences), standardError(differences)]).toBeCloseToTensor([expected.mean, expected.sem], 1e-14);
  for (const [share, value] of quantiles) expect(quantile(differences, share)).toBeCloseTo(value, 13);
  const found = pairedBootstrap(differences, { random: uniforms(7), resamples: 50_000 });
  expect(found.estimate).toBeCloseTo(expected.mean, 14);
  expect(Math.abs(found.low - expected.low)).toBeLessThan(0.005);
  expect(Math.abs(found.high - expected.high)).toBeLessThan(0.005);
  expect(Math.abs(found.p - expected.p)).toBeLessThan(0.01);
});
