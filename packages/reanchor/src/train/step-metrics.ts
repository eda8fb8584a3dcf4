import type { Metrics } from './metrics.js';
import type { LoggedRow } from './objectives/objective.js';
import type { StepResult } from './trainer-options.js';

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
