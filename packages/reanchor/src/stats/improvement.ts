/** The probability that one system does better than another. */
import { drawCounts, type Random } from './bootstrap.js';
import { type Interval, mean, percentileInterval } from './summary.js';

/** The scores of two systems on one task: any number of them each, not paired. */
export interface Stratum {
  x: readonly number[];
  y: readonly number[];
}

export interface Improvement extends Interval {
  /** P(X > Y) + P(X = Y) / 2, the mean over the strata. */
  probability: number;
}

/**
 * The probability of improvement of X over Y: per stratum the mean of 1[x > y] + 1[x = y] / 2 over all pairs of a score
 * x and a score y (the statistic of Mann and Whitney over their number), then the mean over the strata; with a
 * percentile interval from a bootstrap that resamples x and y of each stratum on their own (default 2,000 resamples,
 * level 0.95). Errors: RangeError for a stratum without scores. Source: Agarwal et al. 2021 (Deep RL at the edge of the
 * statistical precipice), section 4.3.
 */
export function probabilityOfImprovement(
  strata: readonly Stratum[],
  { random, resamples = 2000, level = 0.95 }: { random: Random; resamples?: number; level?: number },
): Improvement {
  if (strata.length === 0 || strata.some(({ x, y }) => x.length === 0 || y.length === 0)) {
    throw new RangeError('the probability of improvement needs scores of both systems in every stratum');
  }
  const ranked = strata.map(rank);
  const draws = Float64Array.from({ length: resamples }, () =>
    mean(
      ranked.map(({ x, y, levels }) => share(x, drawCounts(x.length, random), y, drawCounts(y.length, random), levels)),
    ),
  );
  const once = (list: Int32Array) => list.map(() => 1);
  const probability = mean(ranked.map(({ x, y, levels }) => share(x, once(x), y, once(y), levels)));
  return { probability, ...percentileInterval(draws, level) };
}

interface Ranked {
  /** Each score as the number of its level, from 0; equal scores share one. */
  x: Int32Array;
  y: Int32Array;
  levels: number;
}

function rank({ x, y }: Stratum): Ranked {
  const values = [...new Set([...x, ...y])].sort((a, b) => a - b);
  if (values.some(Number.isNaN)) throw new RangeError('a score is not a number');
  const levelOf = new Map(values.map((value, i) => [value, i]));
  const levels = (list: readonly number[]) => Int32Array.from(list, (value) => levelOf.get(value)!);
  return { x: levels(x), y: levels(y), levels: values.length };
}

/** The share of pairs (x, y), each taken as often as counted, with x above y; a tie is half a pair. */
function share(x: Int32Array, xCounts: Int32Array, y: Int32Array, yCounts: Int32Array, levels: number): number {
  const count = (list: Int32Array, counts: Int32Array) => {
    const perLevel = new Float64Array(levels);
    for (let i = 0; i < list.length; i++) perLevel[list[i]!] = perLevel[list[i]!]! + counts[i]!;
    return perLevel;
  };
  const [xs, ys] = [count(x, xCounts), count(y, yCounts)];
  let below = 0;
  let wins = 0;
  for (let level = 0; level < levels; level++) {
    wins += xs[level]! * (below + ys[level]! / 2);
    below += ys[level]!;
  }
  return wins / (x.length * y.length);
}
