/** Several comparisons at once. */

/**
 * Holm's adjusted p of several tests, in their order: p_(k) of the k-th smallest becomes max_(j <= k) min(1, (m - j +
 * 1) p_(j)). Rejecting where it is at most alpha, all rejections are right with probability 1 - alpha, however the
 * tests depend on each other. Source: Holm 1979.
 */
export function holm(ps: readonly number[]): number[] {
  const adjusted = ps.map(() => 1);
  let most = 0;
  for (const [rank, [p, i]] of ps
    .map((p, i) => [p, i] as const)
    .sort(([a], [b]) => a - b)
    .entries()) {
    most = Math.max(most, Math.min(1, (ps.length - rank) * p));
    adjusted[i] = most;
  }
  return adjusted;
}
