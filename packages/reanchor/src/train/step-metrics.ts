import type { Metrics } from './metrics.js';
import type { LoggedRow } from './objectives/objective.js';
import type { StepResult } from './trainer-options.js';

/** What an update cut off to keep the reference's rank, as a share of the distance that was there before. */
const truncation = (update: StepResult<LoggedRow>['update']): Metrics => {
  const { before = 0, cut } = update?.distances ?? {};
  return cut === undefined ? {} : { 'reference/truncation': before > 0 ? cut / before : 0 };
};

/** The metrics of an optimizer step; the rows' numbers are from before the step, the distance from after it. */
export function stepMetrics<Score extends LoggedRow>(
  { scores, gradNorm, learningRate, drift, distance, update }: StepResult<Score>,
  objective: { metrics(scores: readonly Score[]): Metrics },
): Metrics {
  return {
    grad_norm: gradNorm,
    learning_rate: learningRate,
    ...objective.metrics(scores),
    ...(drift === undefined ? {} : { 'reference/divergence': drift }),
    ...(distance === undefined ? {} : { 'reference/distance': distance }),
    ...truncation(update),
  };
}
