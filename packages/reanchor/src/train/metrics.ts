import { accuracyOf } from '../stats/index.js';
import type { ExampleScores } from './objectives/examples.js';
import type { LoggedRow } from './objectives/objective.js';
import type { PairScores } from './objectives/pairs.js';
import type { TextScores } from './objectives/texts.js';
import type { StepResult } from './trainer-options.js';

/** Metrics by name; TRL's name where TRL has one. */
export type Metrics = Record<string, number>;

/** What a measurement of the policy found: numbers, and texts that it wrote. */
export interface Probed {
  metrics: Metrics;
  samples?: { prompt: string; completion: string }[];
}

/**
 * Means over pairs: `logps/chosen|rejected` (summed log-probabilities, nats), `rewards/chosen|rejected` (beta times
 * log-ratio to the reference), `rewards/margins` (chosen - rejected), `rewards/accuracies` (share of pairs whose chosen
 * reward is the larger one, ties counting half, so 1/2 while policy and reference are equal), `logps/accuracies` (the
 * same of log-probabilities).
 */
export function pairMetrics(pairs: readonly Omit<PairScores, 'loss'>[]): Metrics {
  return {
    'rewards/chosen': mean(pairs, (p) => p.chosenReward),
    'rewards/rejected': mean(pairs, (p) => p.rejectedReward),
    'rewards/margins': mean(pairs, (p) => p.chosenReward - p.rejectedReward),
    'rewards/accuracies': accuracyOf(pairs.map((p) => p.chosenReward - p.rejectedReward)),
    'logps/chosen': mean(pairs, (p) => p.chosenLogprob),
    'logps/rejected': mean(pairs, (p) => p.rejectedLogprob),
    'logps/accuracies': accuracyOf(pairs.map((p) => p.chosenLogprob - p.rejectedLogprob)),
  };
}

/**
 * Means over the desirable (`chosen`) and the undesirable (`rejected`) completions: `rewards/*` (beta times log-ratio to
 * the reference), `logps/*`; a side without a row has no metric. `rewards/margins` is the difference of the two means.
 */
export function exampleMetrics(scores: readonly Pick<ExampleScores, 'isDesirable' | 'reward' | 'logprob'>[]): Metrics {
  const byLabel = {
    chosen: scores.filter((s) => s.isDesirable === 1),
    rejected: scores.filter((s) => s.isDesirable !== 1),
  };
  const metrics: Metrics = {};
  for (const [name, side] of Object.entries(byLabel)) {
    if (side.length === 0) continue;
    metrics[`rewards/${name}`] = mean(side, (s) => s.reward);
    metrics[`logps/${name}`] = mean(side, (s) => s.logprob);
  }
  if (byLabel.chosen.length === 0 || byLabel.rejected.length === 0) return metrics;
  return { ...metrics, 'rewards/margins': metrics['rewards/chosen']! - metrics['rewards/rejected']! };
}

/** `loss`: the mean of -log p over all scored tokens, nats. */
export function textMetrics(scores: readonly TextScores[]): Metrics {
  return { loss: scores.reduce((sum, s) => sum + s.loss, 0) / scores.reduce((sum, s) => sum + s.tokens, 0) };
}

/** The metrics of an optimizer step; the rows' numbers are from before the step, the distance from after it. */
export function stepMetrics<Score extends LoggedRow>(
  { scores, gradNorm, learningRate, drift, distance }: StepResult<Score>,
  objective: { metrics(scores: readonly Score[]): Metrics },
): Metrics {
  return {
    grad_norm: gradNorm,
    learning_rate: learningRate,
    ...objective.metrics(scores),
    ...(drift === undefined ? {} : { 'reference/divergence': drift }),
    ...(distance === undefined ? {} : { 'reference/distance': distance }),
  };
}

/** The mean of a number of each item. */
export function mean<T>(items: readonly T[], value: (item: T) => number): number {
  return items.reduce((sum, item) => sum + value(item), 0) / items.length;
}
