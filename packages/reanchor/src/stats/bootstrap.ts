/** The bootstrap of means: intervals and a p from resampled data. */
import { type Interval, mean, percentileInterval } from './summary.js';

/** A stream of numbers in [0, 1); the caller chooses the generator and its seed. */
export type Random = () => number;

export interface BootstrapOptions {
  random: Random;
  /** Default: 10,000. */
  resamples?: number | undefined;
  /** Coverage of the interval; default 0.95. */
  level?: number | undefined;
}

export interface BootstrapResult extends Interval {
  estimate: number;
  /** Two-sided, of the hypothesis that the mean is 0. */
  p: number;
  resamples: number;
}

/**
 * The percentile bootstrap of a mean of paired differences (one a prompt: both systems answered it): the mean, its
 * interval and the two-sided p of a mean of 0. p = min(1, (2 min(#{m <= 0}, #{m >= 0}) + 1) / (B + 1)), the level at
 * which the interval touches 0; its least value is 1 / (B + 1). Errors: RangeError for no difference. Source: Efron and
 * Tibshirani 1993, chapters 13 and 15.
 */
export function pairedBootstrap(differences: ArrayLike<number>, options: BootstrapOptions): BootstrapResult {
  const { random, resamples = 10_000, level = 0.95 } = options;
  const n = differences.length;
  if (n === 0) throw new RangeError('no differences to resample');
  const means = new Float64Array(resamples);
  let [notAbove, notBelow] = [0, 0];
  for (let b = 0; b < resamples; b++) {
    let sum = 0;
    for (let i = 0; i < n; i++) sum += differences[Math.floor(random() * n)]!;
    means[b] = sum / n;
    if (sum <= 0) notAbove++;
    if (sum >= 0) notBelow++;
  }
  const p = Math.min(1, (2 * Math.min(notAbove, notBelow) + 1) / (resamples + 1));
  return { estimate: mean(differences), ...percentileInterval(means, level), p, resamples };
}

/** How often each of `n` things is drawn when `n` are drawn with replacement. */
export function drawCounts(n: number, random: Random): Int32Array {
  const counts = new Int32Array(n);
  for (let i = 0; i < n; i++) {
    const drawn = Math.floor(random() * n);
    counts[drawn] = counts[drawn]! + 1;
  }
  return counts;
}
