/** Intervals and exact tests of a share. */
import { type Interval, sum } from './summary.js';

/**
 * Wilson's score interval of a share: `successes` of `n`, which may hold halves (a tie as half a win); `level` is the
 * coverage. (p + z²/2n ± z sqrt(p (1 - p) / n + z²/4n²)) / (1 + z²/n). Of n = 0 it is [0, 1]. Errors: RangeError.
 * Source: Wilson 1927.
 */
export function wilsonInterval(successes: number, n: number, level = 0.95): Interval {
  if (!(n >= 0 && successes >= 0 && successes <= n)) throw new RangeError(`${successes} of ${n} is no share`);
  if (n === 0) return { low: 0, high: 1 };
  const z = normalQuantile((1 + level) / 2);
  const share = successes / n;
  const center = share + z ** 2 / (2 * n);
  const half = z * Math.sqrt((share * (1 - share)) / n + (z / (2 * n)) ** 2);
  const scale = 1 + z ** 2 / n;
  // Exactly 0 and 1 at the ends, where rounding would leave a speck.
  return {
    low: successes === 0 ? 0 : (center - half) / scale,
    high: successes === n ? 1 : (center + half) / scale,
  };
}

/**
 * The exact two-sided p of `k` successes in `n` when each has probability `p`: the sum of the probabilities of all
 * counts that are not more probable than `k` (up to 1e-7 relative, as scipy.stats.binomtest). 1 of n = 0. Errors:
 * RangeError.
 */
export function binomialTest(k: number, n: number, p = 0.5): number {
  if (!(Number.isInteger(n) && Number.isInteger(k) && k >= 0 && k <= n && p >= 0 && p <= 1)) {
    throw new RangeError(`${k} of ${n} with probability ${p}: whole numbers 0 <= k <= n and p in [0, 1] are allowed`);
  }
  const probabilities = binomialProbabilities(n, p);
  const limit = probabilities[k]! * (1 + 1e-7);
  return Math.min(1, sum(probabilities.filter((probability) => probability <= limit)));
}

/** The sign test: the two-sided p of `wins` against `losses` where both are as probable; ties do not count. */
export function signTest(wins: number, losses: number): number {
  return binomialTest(wins, wins + losses);
}

/**
 * The sign test on clusters of differences that depend on each other, such as the answers to one prompt: a cluster has
 * one sign, that of its sum, and does not count where that is 0. Exact where clusters are independent, whatever the
 * dependence within; 2^(1 - n) where all n agree.
 */
export function clusterSignTest(clusters: readonly ArrayLike<number>[]): number {
  const sums = clusters.map(sum);
  return signTest(sums.filter((one) => one > 0).length, sums.filter((one) => one < 0).length);
}

function binomialProbabilities(n: number, p: number): Float64Array {
  if (p === 0 || p === 1) return Float64Array.from({ length: n + 1 }, (_, k) => (k === n * p ? 1 : 0));
  const logs = new Float64Array(n + 1);
  for (let k = 1; k <= n; k++) logs[k] = logs[k - 1]! + Math.log((n - k + 1) / k) + Math.log(p) - Math.log1p(-p);
  const base = n * Math.log1p(-p);
  return logs.map((log) => Math.exp(base + log));
}

/** The standard normal distribution's value below which the share `p` in (0, 1) lies. Errors: RangeError. */
export function normalQuantile(p: number): number {
  if (!(p > 0 && p < 1)) throw new RangeError(`no normal quantile at ${p}: a share in (0, 1) is allowed`);
  if (p < 0.5) return -normalQuantile(1 - p);
  // The distribution function is concave above 0, so that Newton's steps rise to the root and never pass it.
  let x = 0;
  for (let i = 0; i < 100; i++) {
    const step = (p - normalBelow(x)) / normalDensity(x);
    if (!(step > 1e-16 * (1 + x))) return x;
    x += step;
  }
  return x;
}

const normalDensity = (x: number) => Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI);

/** The standard normal distribution function of x >= 0, by its series 1/2 + density (x + x³/3 + x⁵/15 + ...). */
function normalBelow(x: number): number {
  let term = x;
  let series = x;
  for (let k = 3; term > 1e-18 * series; k += 2) {
    term *= (x * x) / k;
    series += term;
  }
  return 0.5 + normalDensity(x) * series;
}
