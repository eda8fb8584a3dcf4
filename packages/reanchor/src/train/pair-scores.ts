// Shapes: P pairs.
import type { Tensor } from '@reanchor/torch';

/**
 * The numbers of one pair in one step, from before the optimizer moved the policy. Log-probabilities are sums, in nats.
 */
export interface PairScores {
  loss: number;
  chosenReward: number;
  rejectedReward: number;
  chosenLogprob: number;
  rejectedLogprob: number;
  chosenReferenceLogprob: number;
  rejectedReferenceLogprob: number;
}

/** Columns [P] as one record a pair. */
export function pairScores(columns_P: Record<keyof PairScores, Tensor>): PairScores[] {
  const names = Object.keys(columns_P) as (keyof PairScores)[];
  const lists = names.map((name) => columns_P[name].detach().toList());
  return lists[0]!.map(
    (_, i) => Object.fromEntries(names.map((name, n) => [name, lists[n]![i]])) as unknown as PairScores,
  );
}
