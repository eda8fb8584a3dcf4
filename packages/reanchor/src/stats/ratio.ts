/** A ratio of sums over independent clusters, with its standard error. */

export interface RatioEstimate {
  estimate: number;
  /** NaN of a single cluster. */
  standardError: number;
}

/** What one cluster adds to the two sums. */
export interface RatioPart {
  sum: number;
  count: number;
}

/**
 * sum_g sum / sum_g count over clusters g that were drawn independently, and its linearised standard error,
 *
 *     sqrt(G / (G - 1) sum_g (sum_g - estimate count_g)^2) / sum_g count_g,
 *
 * which is s / sqrt(G) of a mean where every cluster counts 1. NaN without a count. Source: Cochran 1977, section 6.4.
 */
export function ratioEstimate(parts: readonly RatioPart[]): RatioEstimate {
  const total = (value: (part: RatioPart) => number) => parts.reduce((all, part) => all + value(part), 0);
  const count = total((part) => part.count);
  const estimate = total((part) => part.sum) / count;
  const squares = total((part) => (part.sum - estimate * part.count) ** 2);
  return { estimate, standardError: Math.sqrt((parts.length / (parts.length - 1)) * squares) / count };
}
