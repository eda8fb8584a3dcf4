import type { StopOptions } from '../recipe/index.js';
import { metricSign } from '../runs/index.js';
import type { Metrics } from '../train/metrics.js';

/**
 * Why a run ends after the last of its evaluations, by `stop` of its recipe: none of the last `patience` ones is better
 * than the best before it, by `minGain` at least. Undefined where the run goes on. The best is the best of all so far,
 * the evaluation before the run included, also where it was no gain by itself; NaN is never better. Evaluations without
 * the metric do not count. As transformers' EarlyStoppingCallback, whose gain has to be more than its threshold.
 */
export function stopReason(
  evaluations: readonly { step: number; metrics: Metrics }[],
  { metric, patience, minGain }: StopOptions,
): string | undefined {
  const sign = metricSign(metric);
  let best: { step: number; value: number } | undefined;
  let without = 0;
  let last = 0;
  for (const { step, metrics } of evaluations) {
    const value = metrics[metric];
    if (value === undefined) continue;
    const gain = sign * (value - (best?.value ?? -sign * Number.POSITIVE_INFINITY));
    without = gain > 0 && gain >= minGain ? 0 : without + 1;
    if (gain > 0) best = { step, value };
    last = step;
  }
  if (without < patience) return undefined;
  const gained = minGain > 0 ? `no gain of ${minGain} or more` : 'no gain';
  const known = best ? `; its best is ${Number(best.value.toPrecision(6))} after step ${best.step}` : '';
  const count = patience === 1 ? '1 evaluation' : `${patience} evaluations in a row`;
  return `stopped after step ${last}: ${metric} has had ${gained} in ${count}${known} (stop)`;
}
