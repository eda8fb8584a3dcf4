import type { PairScores } from './pair-scores.js';
import type { StepResult } from './trainer.js';

/** Metrics by name; TRL's name where TRL has one. */
export type Metrics = Record<string, number>;

/**
 * Means over pairs: `logps/chosen|rejected` (summed log-probabilities, nats), `rewards/chosen|rejected` (beta times
 * log-ratio to the reference), `rewards/margins` (chosen - rejected), `rewards/accuracies` (share of pairs whose chosen
 * reward is strictly the larger one, so 0 while policy and reference are equal), `logps/accuracies` (share of pairs
 * whose chosen log-probability is the larger one).
 */
export function pairMetrics(pairs: readonly Omit<PairScores, 'loss'>[]): Metrics {
  return {
    'rewards/chosen': mean(pairs, (p) => p.chosenReward),
    'rewards/rejected': mean(pairs, (p) => p.rejectedReward),
    'rewards/margins': mean(pairs, (p) => p.chosenReward - p.rejectedReward),
    'rewards/accuracies': mean(pairs, (p) => (p.chosenReward > p.rejectedReward ? 1 : 0)),
    'logps/chosen': mean(pairs, (p) => p.chosenLogprob),
    'logps/rejected': mean(pairs, (p) => p.rejectedLogprob),
    'logps/accuracies': mean(pairs, (p) => (p.chosenLogprob > p.rejectedLogprob ? 1 : 0)),
  };
}

/** The metrics of an optimizer step; the pairs' numbers are from before the step, the distance from after it. */
export function stepMetrics({ pairs, gradNorm, learningRate, distance }: StepResult): Metrics {
  return {
    loss: mean(pairs, (p) => p.loss),
    grad_norm: gradNorm,
    learning_rate: learningRate,
    ...pairMetrics(pairs),
    'reference/distance': distance,
  };
}

function mean<T>(items: readonly T[], value: (item: T) => number): number {
  return items.reduce((sum, item) => sum + value(item), 0) / items.length;
}
