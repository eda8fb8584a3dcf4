import { lineChart } from '../plots/index.js';
import { mean } from '../stats/index.js';
import type { ToyMethod, ToyRecord, ToyRun } from './experiment.js';

/** What came of a variant: means over the seeds. */
export interface ToySummary {
  variant: string;
  /** Probabilities at the end. */
  chosen: number;
  rejected: number;
  ood: number;
  /** Standard error of `chosen` over the seeds. */
  chosenError: number;
  /** KL(policy || SFT policy) at the end, nats. */
  klSft: number;
  /** The least probability of the chosen trajectories on the way, and the largest of those out of distribution. */
  worstChosen: number;
  peakOod: number;
}

/** The numbers of a run that a table shows. */
export function summarise({ variant, records }: ToyRun): ToySummary {
  const last = records.at(-1)!;
  const extremes = (name: 'chosen' | 'ood', of: (...values: number[]) => number) =>
    mean(last[name].map((_, seed) => of(...records.map((record) => record[name][seed]!))));
  const chosen = mean(last.chosen);
  const variance = mean(last.chosen.map((value) => (value - chosen) ** 2));
  return {
    variant: variant.name,
    chosen,
    rejected: mean(last.rejected),
    ood: mean(last.ood),
    chosenError: Math.sqrt(variance / Math.max(1, last.chosen.length - 1)),
    klSft: mean(last.klSft),
    worstChosen: extremes('chosen', Math.min),
    peakOod: extremes('ood', Math.max),
  };
}

/** Mean and quartiles over the seeds, at every record of a run. */
export function curves({ steps, records }: ToyRun): Record<
  keyof ToyRecord,
  { mean: number[]; low: number[]; high: number[] }
> & {
  steps: number[];
} {
  const names = Object.keys(records[0]!) as (keyof ToyRecord)[];
  const quantile = (values: number[], share: number) => {
    const sorted = [...values].sort((a, b) => a - b);
    return sorted[Math.round(share * (sorted.length - 1))]!;
  };
  const entries = names.map((name) => [
    name,
    {
      mean: records.map((record) => mean(record[name])),
      low: records.map((record) => quantile(record[name], 0.25)),
      high: records.map((record) => quantile(record[name], 0.75)),
    },
  ]);
  return { ...Object.fromEntries(entries), steps };
}

/** The pictures of an experiment by file name, as SVG texts. */
export function toyPlots(runs: readonly ToyRun[], method: ToyMethod): Map<string, string> {
  const each = runs.map((run) => ({ run, name: run.variant.name, of: curves(run) }));
  const xLabel = 'optimizer steps';
  const chart = (title: string, yLabel: string, name: keyof ToyRecord, yRange?: [number, number]) =>
    lineChart({
      title,
      xLabel,
      yLabel,
      yRange,
      series: each.map(({ name: variant, of }) => ({
        name: variant,
        points: of.steps.map((step, i) => [step, of[name].mean[i]!]),
        band: of.steps.map((step, i) => [step, of[name].low[i]!, of[name].high[i]!]),
      })),
    });
  const title = (what: string) => `${what}, ${method.toUpperCase()}`;
  const probability = 'probability, mean and quartiles';
  return new Map([
    [`toy-${method}-chosen.svg`, chart(title('Chosen trajectories'), probability, 'chosen', [0, 1])],
    [`toy-${method}-rejected.svg`, chart(title('Rejected trajectories'), probability, 'rejected', [0, 0.5])],
    [`toy-${method}-ood.svg`, chart(title('Trajectories never seen'), probability, 'ood', [0, 1])],
    [`toy-${method}-logprobs.svg`, chart(title('Log-probability of a chosen trajectory'), 'nats', 'chosenLogprob')],
    [`toy-${method}-kl.svg`, chart(title('Exact KL to the SFT policy'), 'nats', 'klSft')],
    [`toy-${method}-margin.svg`, chart(title('Margin of log-ratios to the current reference'), 'nats', 'margin')],
    [
      `toy-${method}-weight.svg`,
      chart(title('Weight of a pair in the gradient, sigma(-z)'), 'mean over pairs', 'weight'),
    ],
    [
      `toy-${method}-curvature.svg`,
      chart(title("Weight of the Hessian's outer product"), 'mean over pairs', 'curvature'),
    ],
  ]);
}
