/** Sum, mean, standard error and quantiles of a sample. */

/** The sum, added up from the first value to the last. */
export function sum(values: ArrayLike<number>): number {
  let total = 0;
  for (let i = 0; i < values.length; i++) total += values[i]!;
  return total;
}

/** The mean; NaN of an empty sample. */
export const mean = (values: ArrayLike<number>): number => sum(values) / values.length;

/** The standard deviation with n - 1; NaN below two values. */
export function standardDeviation(values: ArrayLike<number>): number {
  const center = mean(values);
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += (values[i]! - center) ** 2;
  return Math.sqrt(sum / (values.length - 1));
}

/** The standard error of the mean, s / sqrt(n), with s of n - 1; NaN below two values. */
export function standardError(values: ArrayLike<number>): number {
  return standardDeviation(values) / Math.sqrt(values.length);
}

/**
 * The standard error of the mean of all values of clusters that are drawn whole, such as the pairs of a prompt:
 * sqrt(c / (c - 1) sum_i (s_i - m n_i)^2) / n, with sums s_i and sizes n_i of c clusters and the mean m of all n
 * values; of one value a cluster it is {@link standardError}. NaN below two clusters. Source: Cochran 1977, section 6.4
 * (the ratio estimate).
 */
export function clusterError(clusters: readonly ArrayLike<number>[]): number {
  const [sums, sizes] = [clusters.map(sum), clusters.map(({ length }) => length)];
  const center = sum(sums) / sum(sizes);
  const squares = sum(sums.map((total, i) => (total - center * sizes[i]!) ** 2));
  const c = clusters.length;
  return Math.sqrt((c / (c - 1)) * squares) / sum(sizes);
}

/**
 * The quantile of `values` at `share` in [0, 1]: linear between order statistics, at (n - 1) share (type 7 of Hyndman
 * and Fan, numpy's default). NaN of an empty sample.
 */
export function quantile(values: ArrayLike<number>, share: number): number {
  return sortedQuantile(Float64Array.from(values).sort(), share);
}

/** {@link quantile} of values that are sorted already. */
function sortedQuantile(sorted: ArrayLike<number>, share: number): number {
  const at = (sorted.length - 1) * share;
  const below = Math.floor(at);
  const [low, high] = [sorted[below] ?? Number.NaN, sorted[Math.ceil(at)] ?? Number.NaN];
  return low + (high - low) * (at - below);
}

/** The two ends of the middle `level` of a sample: the quantiles at (1 - level) / 2 and (1 + level) / 2. */
export function percentileInterval(values: ArrayLike<number>, level: number): Interval {
  const sorted = Float64Array.from(values).sort();
  return { low: sortedQuantile(sorted, (1 - level) / 2), high: sortedQuantile(sorted, (1 + level) / 2) };
}

/** The ends of an interval. */
export interface Interval {
  low: number;
  high: number;
}
