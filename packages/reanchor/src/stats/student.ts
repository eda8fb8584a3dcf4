/** Student's t: means of few values, such as one a seed, with intervals that hold for few. */
import { type Interval, mean, standardDeviation } from './summary.js';

/** A mean, or a difference of means; without an interval and p where there are too few values for them. */
export interface TestedMean {
  estimate: number;
  interval: Interval | undefined;
  /** Two-sided, of the hypothesis that it is 0. */
  p: number | undefined;
}

/**
 * The mean of n independent values with Student's interval, mean ± t s / sqrt(n), and p, both with n - 1 degrees of
 * freedom and undefined below two values. Of paired clusters the values are the clusters' differences: one a seed.
 * Where all values are equal the interval has no width, and p is that of the sign test, 2^(1 - n), or 1 where they are
 * 0. Errors: RangeError for no value.
 *
 * Why t and no bootstrap: of 4,000 samples of n = 3, 4, 6, 12, 16 normal values the 95 % interval held the mean in 95 %
 * at every n, the percentile bootstrap's in 75, 79, 87, 91, 92 %, and that of the bootstrap of t (bootstrap-t) in 99.9,
 * 96, 94, 95, 95 %, at n = 3 with intervals too wide to use. Of other values t held it in 96 % (Student's t with 4
 * degrees of freedom), 93, 92, 94, 95, 95 % (uniform) and 88, 88, 88, 91, 91 % (exponential). Differences of paired
 * runs are about symmetric, where t keeps what it says. Source: Student 1908.
 */
export function studentMean(values: ArrayLike<number>, level = 0.95): TestedMean {
  const n = values.length;
  if (n === 0) throw new RangeError('no values to take the mean of');
  return tested(mean(values), standardDeviation(values) / Math.sqrt(n), n - 1, n, level);
}

/**
 * The difference of two means of independent values, x - y, that share no cluster: Welch's interval and p, with
 * Satterthwaite's degrees of freedom; undefined where a side has fewer than two values. Errors: RangeError for a side
 * without a value. Source: Welch 1947.
 */
export function welchDifference(x: ArrayLike<number>, y: ArrayLike<number>, level = 0.95): TestedMean {
  if (x.length === 0 || y.length === 0) throw new RangeError('the difference of two means needs values of both');
  const [a, b] = [x, y].map((values) => standardDeviation(values) ** 2 / values.length) as [number, number];
  const freedom = (a + b) ** 2 / (a ** 2 / (x.length - 1) + b ** 2 / (y.length - 1));
  return tested(mean(x) - mean(y), Math.sqrt(a + b), freedom, Math.min(x.length, y.length), level);
}

function tested(estimate: number, error: number, freedom: number, n: number, level: number): TestedMean {
  if (n < 2) return { estimate, interval: undefined, p: undefined };
  const half = error === 0 ? 0 : error * studentQuantile((1 + level) / 2, freedom);
  const p = error > 0 ? studentTails(estimate / error, freedom) : estimate === 0 ? 1 : 2 ** (1 - n);
  return { estimate, interval: { low: estimate - half, high: estimate + half }, p };
}

/** The probability that |T| is larger than |t|, of Student's distribution with `freedom` > 0 degrees of freedom. */
export function studentTails(t: number, freedom: number): number {
  const square = t * t;
  if (square === Number.POSITIVE_INFINITY) return 0;
  return betaShare(freedom / (freedom + square), square / (freedom + square), freedom / 2, 0.5);
}

/** The t below which the share `p` in [1/2, 1) of Student's distribution lies, by halving. Errors: RangeError. */
export function studentQuantile(p: number, freedom: number): number {
  if (!(p >= 0.5 && p < 1)) throw new RangeError(`no quantile of Student's at ${p}: a share in [1/2, 1) is allowed`);
  const tails = 2 * (1 - p);
  let [low, high] = [0, 1];
  while (studentTails(high, freedom) > tails) high *= 2;
  for (let i = 0; i < 100 && high - low > 1e-15 * high; i++) {
    const middle = (low + high) / 2;
    if (studentTails(middle, freedom) > tails) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/**
 * The regularised incomplete beta function I_x(a, b), given x and 1 - x, each to full precision: x^a (1 - x)^b / (a
 * B(a, b)) over its continued fraction, which converges fast for x < (a + 1) / (a + b + 2); else 1 - I_(1 - x)(b, a).
 * Source: Abramowitz and Stegun 26.5.8; the fraction by Lentz's method.
 */
function betaShare(x: number, rest: number, a: number, b: number): number {
  if (x > (a + 1) / (a + b + 2)) return 1 - betaShare(rest, x, b, a);
  if (x === 0) return 0;
  const logBeta = logGamma(a) + logGamma(b) - logGamma(a + b);
  const front = Math.exp(a * Math.log(x) + b * Math.log(rest) - logBeta) / a;
  const awayFromZero = (value: number) => (Math.abs(value) < 1e-300 ? 1e-300 : value);
  let c = 1;
  let d = 1 / awayFromZero(1 - ((a + b) * x) / (a + 1));
  let fraction = d;
  for (let m = 1; m < 1000; m++) {
    const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m));
    const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
    let change = 1;
    for (const term of [even, odd]) {
      d = 1 / awayFromZero(1 + term * d);
      c = awayFromZero(1 + term / c);
      change = c * d;
      fraction *= change;
    }
    if (Math.abs(change - 1) < 1e-16) break;
  }
  return front * fraction;
}

// Lanczos's approximation of the gamma function, g = 7, in the coefficients of Godfrey.
const lanczos = [
  676.5203681218851, -1259.1392167224028, 771.3234287776531, -176.6150291621406, 12.507343278686905,
  -0.13857109526572012, 9.984369578019572e-6, 1.5056327351493116e-7,
];

/** log Gamma(x) of x >= 1/2. */
function logGamma(x: number): number {
  const series = lanczos.reduce((all, coefficient, i) => all + coefficient / (x + i), 0.9999999999998099);
  const t = x + 6.5;
  return 0.5 * Math.log(2 * Math.PI) + (x - 0.5) * Math.log(t) - t + Math.log(series);
}
