/**
 * The share of margins above 0, one of 0 counting half: the probability that of a pair the one that is meant to is
 * ahead. It is 1/2 where all margins are 0, as between a model and itself. TRL counts ties as lost; otherwise it is the
 * same. NaN without a margin.
 */
export function accuracyOf(margins: readonly number[]): number {
  return margins.reduce((sum, margin) => sum + (Math.sign(margin) + 1) / 2, 0) / margins.length;
}
