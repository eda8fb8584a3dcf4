/** What each metric is called, is measured in, and means. The one place for these texts. */
import type { RunSummary } from 'reanchor/serve';

export interface MetricText {
  title: string;
  unit?: string;
  /** Two sentences: what it is, and how to read it. */
  help: string;
}

const texts: Record<string, MetricText> = {
  loss: {
    title: 'Loss',
    help: 'The mean loss of the rows of a step, against the reference of that moment. With a hard update it jumps back to its value for equal models (0.693 for DPO), which is the method at work and no failure.',
  },
  'rewards/margins': {
    title: 'Reward margin',
    help: 'How much more the policy favours chosen over rejected answers than the reference does: beta times the difference of the two log-ratios. It falls back to 0 at every hard update because policy and reference are equal then; the evaluations below measure against the initial model instead.',
  },
  'rewards/accuracies': {
    title: 'Reward accuracy',
    unit: 'share of pairs',
    help: 'The share of pairs whose chosen answer has the larger reward, ties counting half. It is one half while policy and reference are equal, at the first step and after each hard update, which is the method at work and no failure.',
  },
  'rewards/chosen': {
    title: 'Reward, chosen',
    help: 'Beta times the log-ratio of policy to reference on chosen answers. It often falls below 0 while the margin grows: the loss only asks that rejected answers lose more, and probability goes to answers in neither set, which is what moving the reference is meant to soften.',
  },
  'rewards/rejected': {
    title: 'Reward, rejected',
    help: 'Beta times the log-ratio of policy to reference on rejected answers. It should fall, and fall faster than that of the chosen ones.',
  },
  'logps/chosen': {
    title: 'Log-probability, chosen',
    unit: 'nats',
    help: 'The log-probability of a chosen answer under the policy, summed over its tokens, whatever the reference does. A long fall of both curves is the sign of over-optimisation: the policy moves its probability away from all answers it was shown.',
  },
  'logps/rejected': {
    title: 'Log-probability, rejected',
    unit: 'nats',
    help: 'The log-probability of a rejected answer under the policy, summed over its tokens. The gap to the chosen answers is what is learnt; where both curves go together says what it costs.',
  },
  'logps/accuracies': {
    title: 'Log-probability accuracy',
    unit: 'share of pairs',
    help: 'The share of pairs whose chosen answer is the more probable one, ties counting half, with no reference involved. It depends on the lengths of the answers, so watch how it changes and not how high it is.',
  },
  'kl/initial': {
    title: 'KL to the initial model',
    unit: 'nats',
    help: 'How far the policy has gone from the model it started as, estimated on its own samples. Quality bought with more of it is worth less: compare methods at equal KL.',
  },
  'kl/reference': {
    title: 'KL to the current reference',
    unit: 'nats',
    help: 'How far the policy is from the reference of that moment. It falls back to 0 at a hard update and stays small under a soft one, whatever the distance to the initial model.',
  },
  kl: {
    title: 'KL estimate of KTO',
    unit: 'nats',
    help: 'The mean log-ratio on mismatched answers, not below 0, which KTO takes as its point of reference. It returns to 0 at every hard update.',
  },
  'kl/raw': {
    title: 'KL estimate of KTO, before the clamp',
    unit: 'nats',
    help: 'The mean log-ratio of policy to reference on mismatched answers, which may be negative. KTO uses it only where it is above 0.',
  },
  'reference/distance': {
    title: 'Distance to the reference',
    unit: 'L2 of weights',
    help: 'The length of the difference between the weights of policy and reference, after the step and its update. A hard update sets it to 0, a soft one with share alpha leaves 1 - alpha of it.',
  },
  'reference/version': {
    title: 'Reference updates so far',
    help: 'How often the reference has moved. A staircase for hard updates, a straight line for soft ones, and flat for a fixed reference.',
  },
  'reference/divergence': {
    title: 'Reference to initial model',
    unit: 'nats per token',
    help: 'How far the reference has moved from the initial model on the answers of a step. Where the recipe caps it, updates stop when it is reached.',
  },
  grad_norm: {
    title: 'Gradient norm',
    help: 'The length of the gradient before clipping. Short peaks are clipped and harmless; a lasting rise before the loss turns bad asks for a lower learning rate.',
  },
  learning_rate: {
    title: 'Learning rate',
    help: 'The rate that the step used. It follows the schedule of the recipe, which reference updates do not touch.',
  },
  tokens_per_second: {
    title: 'Speed',
    unit: 'tokens per second',
    help: 'Packed tokens per second of training time, prompts counted once. Evaluations and saving are not in it.',
  },
  num_tokens: {
    title: 'Tokens so far',
    help: 'Packed tokens since the start of the run. Two runs can be compared at equal cost with it.',
  },
  'memory/peak': {
    title: 'Peak memory',
    unit: 'bytes',
    help: 'The most resident memory the process has had so far. It should be flat after the first steps.',
  },
  'memory/live_tensors': {
    title: 'Live tensors',
    help: 'Tensors that exist after a step. A rising count is a leak.',
  },
  'gold/reward': {
    title: 'Gold reward',
    help: 'The mean reward of sampled answers by the measure that the run is really after. When it falls while the margin grows, the policy is being over-optimised.',
  },
  'samples/distinct2': {
    title: 'Variety of samples',
    unit: 'distinct bigrams',
    help: 'The share of different word pairs among all of the samples. A fall means that the policy repeats itself.',
  },
  entropy: {
    title: 'Entropy',
    unit: 'nats per token',
    help: 'How undecided the policy is about the next token. A steady fall means that its answers become alike.',
  },
};

/** The texts of a metric; a name that is not in the table is its own title. */
export function metricText(name: string): MetricText {
  return (
    texts[name] ?? { title: name, help: 'A number that this run logs. The dashboard knows nothing else about it.' }
  );
}

/** A chart of a run: metrics that belong together. */
export interface ChartSpec {
  title: string;
  unit?: string | undefined;
  metrics: string[];
}

const pairs: ChartSpec[] = [
  { title: 'Rewards', metrics: ['rewards/chosen', 'rewards/rejected'] },
  { title: 'Log-probabilities', unit: 'nats', metrics: ['logps/chosen', 'logps/rejected'] },
];

const sections: { title: string; charts: (string | ChartSpec)[] }[] = [
  {
    title: 'Objective',
    charts: ['loss', 'rewards/margins', 'rewards/accuracies', pairs[0]!, pairs[1]!, 'logps/accuracies'],
  },
  {
    title: 'Anchor',
    charts: [
      'kl/initial',
      'kl/reference',
      'kl',
      'kl/raw',
      'reference/distance',
      'reference/divergence',
      'reference/version',
    ],
  },
  { title: 'Quality', charts: ['gold/reward', 'samples/distinct2', 'entropy'] },
  { title: 'Optimizer', charts: ['grad_norm', 'learning_rate'] },
  { title: 'Machine', charts: ['tokens_per_second', 'memory/peak', 'memory/live_tensors', 'num_tokens'] },
];

/** The charts of the metrics that there are, in sections; those that the table does not know come last. */
export function chartSections(names: readonly string[]): { title: string; charts: ChartSpec[] }[] {
  const left = new Set(names);
  const found = sections.map(({ title, charts }) => ({
    title,
    charts: charts.flatMap((chart): ChartSpec[] => {
      const wanted = typeof chart === 'string' ? [chart] : chart.metrics;
      const metrics = wanted.filter((name) => left.delete(name));
      if (metrics.length === 0) return [];
      return [typeof chart === 'string' ? single(chart) : { ...chart, metrics }];
    }),
  }));
  found.push({ title: 'More', charts: [...left].sort().map(single) });
  return found.filter(({ charts }) => charts.length > 0);
}

function single(name: string): ChartSpec {
  const { title, unit } = metricText(name);
  return { title, unit, metrics: [name] };
}

/** Whether a run has been evaluated on rows that it is not trained on. */
export const isEvaluated = ({ evaluation }: RunSummary) => Object.keys(evaluation).length > 0;

/**
 * A run's newest value of a metric: of evaluations, which measure against the initial model and so say more than a
 * step, or of the last step where there is none. The two are never mixed in a run.
 */
export const newestValue = (run: RunSummary, name: string): number | null =>
  (isEvaluated(run) ? run.evaluation : run.metrics)[name] ?? null;
