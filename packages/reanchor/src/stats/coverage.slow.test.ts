// Intervals hold the true value as often as they say, and tests of a true hypothesis reject as often as they say, on
// invented samples; the shares of 2,000 and 1,000 samples have standard errors of 0.5 and 0.7 points.
import { describe, expect, test } from 'vitest';
import { uniforms } from '../random.js';
import { clusterBootstrap, type Random } from './bootstrap.js';
import { probabilityOfImprovement } from './improvement.js';
import { clusterSignTest } from './proportion.js';
import { studentMean, welchDifference } from './student.js';
import type { Interval } from './summary.js';

/** Normal numbers, by Box and Muller. */
const normals = (random: Random) => () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
const list = (n: number, value: () => number) => Array.from({ length: n }, value);
const holds = ({ low, high }: Interval, value: number) => low <= value && value <= high;
/** The share of samples of which a question is true, in percent. */
const percentOf = (samples: number, isTrue: () => boolean) =>
  (100 * list(samples, () => Number(isTrue())).reduce((all, one) => all + one, 0)) / samples;

test.each([3, 4, 6, 12, 16])("Student's interval of %i seeds covers within 2 points of 95 percent", (n) => {
  const normal = normals(uniforms(n));
  expect(percentOf(2000, () => holds(studentMean(list(n, normal)).interval!, 0))).toBeGreaterThan(93);
  expect(percentOf(2000, () => studentMean(list(n, normal)).p! <= 0.05)).toBeLessThan(7);
  // The bootstrap of so few does not, for which its doc comment sends the reader here.
  const random = uniforms(n, 1);
  const drawn = () => clusterBootstrap(list(n, normal).map((one) => [one]), { random, resamples: 200 }); // biome-ignore format: short
  expect(percentOf(500, () => holds(drawn(), 0))).toBeLessThan(94);
});

test("Welch's interval of the means of 5 and 9 seeds of unequal noise covers within 2 points", () => {
  const normal = normals(uniforms(5));
  const interval = () => welchDifference(list(5, () => 3 * normal()), list(9, normal)).interval!; // biome-ignore format: short
  const covered = percentOf(2000, () => holds(interval(), 0));
  expect(covered).toBeGreaterThan(93);
  expect(covered).toBeLessThan(97);
});

describe('60 prompts with 5 dependent answers each', () => {
  const normal = normals(uniforms(60));
  const random = uniforms(60, 1);
  /** Values whose correlation within a prompt is 0.8. */
  const prompts = () =>
    Array.from({ length: 60 }, () => {
      const own = 2 * normal();
      return list(5, () => own + normal());
    });

  test('the bootstrap that draws prompts covers and rejects within 2 points, the one that draws values does not', () => {
    const byPrompt = () => clusterBootstrap(prompts(), { random, resamples: 200 });
    expect(Math.abs(percentOf(1000, () => holds(byPrompt(), 0)) - 95)).toBeLessThan(2);
    expect(Math.abs(percentOf(1000, () => byPrompt().p <= 0.05) - 5)).toBeLessThan(2);
    const byValue = () => clusterBootstrap(prompts().flat().map((one) => [one]), { random, resamples: 100 }); // biome-ignore format: short
    expect(percentOf(200, () => holds(byValue(), 0))).toBeLessThan(75);
  });

  test('the sign test of prompts rejects no more often than it says', () => {
    expect(percentOf(2000, () => clusterSignTest(prompts()) <= 0.05)).toBeLessThan(6);
  });

  test('the probability of improvement over five dependent criteria covers within 2 points', () => {
    const rated = () => prompts().map((scores, i) => ({ cluster: String(i), scores: scores.map(Math.round) }));
    const found = () => probabilityOfImprovement(rated(), rated(), { random, resamples: 200 });
    expect(Math.abs(percentOf(1000, () => holds(found(), 0.5)) - 95)).toBeLessThan(2);
  });
});
