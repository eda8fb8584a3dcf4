/** What each metric is called, is measured in, and means. The one place for these texts. */
import type { RunSummary } from 'reanchor/serve';

export interface MetricText {
  title: string;
  /** Its name beside the other lines of its chart, or in a table. */
  label?: string;
  unit?: string;
  /** A state after a step, as a counter is, whose curve has no noise to smooth. */
  isState?: true;
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
    label: 'margin',
    unit: 'β × nats',
    help: 'How much more the policy favours chosen over rejected answers than the reference does: beta times the difference of the two log-ratios. It falls back to 0 at every hard update because policy and reference are equal then; the evaluations below measure against the initial model instead.',
  },
  'rewards/accuracies': {
    title: 'Reward accuracy',
    unit: 'share of pairs',
    label: 'accuracy',
    help: 'The share of pairs whose chosen answer has the larger reward, ties counting half. It is one half while policy and reference are equal, at the first step and after each hard update, which is the method at work and no failure.',
  },
  'rewards/chosen': {
    title: 'Reward, chosen',
    label: 'chosen',
    unit: 'β × nats',
    help: 'Beta times the log-ratio of policy to reference on chosen answers. It often falls below 0 while the margin grows: the loss only asks that rejected answers lose more, and probability goes to answers in neither set, which is what moving the reference is meant to soften.',
  },
  'rewards/rejected': {
    title: 'Reward, rejected',
    label: 'rejected',
    unit: 'β × nats',
    help: 'Beta times the log-ratio of policy to reference on rejected answers. It should fall, and fall faster than that of the chosen ones.',
  },
  'logps/chosen': {
    title: 'Log-probability, chosen',
    unit: 'nats',
    label: 'chosen',
    help: 'The log-probability of a chosen answer under the policy, summed over its tokens, whatever the reference does. A long fall of both curves is the sign of over-optimisation: the policy moves its probability away from all answers it was shown.',
  },
  'logps/rejected': {
    title: 'Log-probability, rejected',
    unit: 'nats',
    label: 'rejected',
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
    label: 'KL',
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
    isState: true,
    help: 'The length of the difference between the weights of policy and reference, after the step and its update. A hard update sets it to 0, a soft one with share alpha leaves 1 - alpha of it.',
  },
  'reference/version': {
    title: 'Reference updates so far',
    isState: true,
    unit: 'updates',
    help: 'How often the reference has moved. A staircase for hard updates, a straight line for soft ones, and flat for a fixed reference.',
  },
  'reference/divergence': {
    title: 'Reference to initial model',
    unit: 'nats per token',
    isState: true,
    help: 'How far the reference has moved from the initial model on the answers of a step. Where the recipe caps it, updates stop when it is reached.',
  },
  grad_norm: {
    title: 'Gradient norm',
    unit: 'L2 of gradients',
    help: 'The length of the gradient before clipping. Short peaks are clipped and harmless; a lasting rise before the loss turns bad asks for a lower learning rate.',
  },
  learning_rate: {
    title: 'Learning rate',
    isState: true,
    unit: 'per step',
    help: 'The rate that the step used. It follows the schedule of the recipe, which reference updates do not touch.',
  },
  tokens_per_second: {
    title: 'Speed',
    unit: 'tokens per second',
    help: 'Packed tokens per second of training time, prompts counted once. Evaluations and saving are not in it.',
  },
  num_tokens: {
    title: 'Tokens so far',
    isState: true,
    unit: 'tokens',
    help: 'Packed tokens since the start of the run. Two runs can be compared at equal cost with it.',
  },
  'memory/peak': {
    title: 'Peak memory',
    unit: 'bytes',
    isState: true,
    help: 'The most resident memory the process has had so far. It should be flat after the first steps.',
  },
  'memory/live_tensors': {
    title: 'Live tensors',
    isState: true,
    unit: 'tensors',
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
  'kl/initial_token': {
    title: 'KL to the initial model, per token',
    label: 'to the initial model',
    unit: 'nats per token',
    help: 'The KL to the initial model over the number of tokens of the answers. Where answers become longer the KL of an answer grows by that alone, and this one does not.',
  },
  'kl/reference_token': {
    title: 'KL to the current reference, per token',
    label: 'to the current reference',
    unit: 'nats per token',
    help: 'The KL to the reference of that moment over the number of tokens of the answers. It falls back to 0 at a hard update.',
  },
  'reference/truncation': {
    title: 'Cut off from the reference',
    unit: 'share of the update',
    isState: true,
    help: 'The share of an average of adapters that is lost when it is kept at its rank. Where it stays high, a larger reference.rank follows the policy more closely.',
  },
  skipped_steps: {
    title: 'Steps passed over',
    unit: 'steps',
    isState: true,
    help: 'Steps whose loss or gradient was NaN or infinite, and which changed no weight. More than a few of them ask for a lower learning rate.',
  },
  'length/mean': {
    title: 'Answer length',
    label: 'mean',
    unit: 'tokens',
    help: 'The mean length of the answers that the policy writes to prompts of the validation rows. A steady rise is a known way to please a judge: compare methods at equal length too.',
  },
  'length/median': {
    title: 'Answer length, median',
    label: 'median',
    unit: 'tokens',
    help: 'The median length of the answers that the policy writes. A mean far above it comes from a few answers that do not end.',
  },
  'length/ended': {
    title: 'Answers that end',
    unit: 'share of answers',
    help: 'The share of answers that the policy ended by itself before they were cut off. A fall means that lengths say less than they seem to.',
  },
  'diversity/distinct_1': {
    title: 'Distinct words',
    label: 'words',
    unit: 'share of all',
    help: 'The share of different words among all words of the answers. A fall means that the policy repeats itself.',
  },
  'diversity/distinct_2': {
    title: 'Distinct word pairs',
    label: 'pairs',
    unit: 'share of all',
    help: 'The share of different pairs of neighbouring words among all pairs. A fall means that the policy repeats itself.',
  },
  'diversity/distinct_3': {
    title: 'Distinct word triples',
    label: 'triples',
    unit: 'share of all',
    help: 'The share of different triples of neighbouring words among all triples. A fall means that the policy repeats itself.',
  },
  'diversity/self_bleu': {
    title: 'Self-BLEU',
    label: 'of all answers',
    unit: '0 to 1',
    help: 'How much an answer is like the other answers, in n-grams of up to four words. A rise means that answers become alike.',
  },
  'diversity/self_bleu_prompt': {
    title: 'Self-BLEU, one prompt',
    label: 'to one prompt',
    unit: '0 to 1',
    help: 'How much an answer is like the other answers to the same prompt, in n-grams of up to four words. A rise means that the policy has fewer things to say.',
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
  isState?: true | undefined;
}

const sections: { title: string; charts: (string | ChartSpec)[] }[] = [
  {
    title: 'Objective',
    charts: [
      'loss',
      'rewards/margins',
      'rewards/accuracies',
      { title: 'Rewards', unit: 'β × nats', metrics: ['rewards/chosen', 'rewards/rejected'] },
      { title: 'Log-probabilities', unit: 'nats', metrics: ['logps/chosen', 'logps/rejected'] },
      'logps/accuracies',
    ],
  },
  {
    title: 'Anchor',
    charts: [
      'kl/initial',
      'kl/reference',
      { title: 'KL per token', unit: 'nats per token', metrics: ['kl/initial_token', 'kl/reference_token'] },
      'kl',
      'kl/raw',
      'reference/distance',
      'reference/divergence',
      'reference/truncation',
      'reference/version',
    ],
  },
  { title: 'Quality', charts: ['gold/reward', 'samples/distinct2', 'entropy'] },
  {
    title: 'Answers',
    charts: [
      { title: 'Answer length', unit: 'tokens', metrics: ['length/mean', 'length/median'] },
      'length/ended',
      {
        title: 'Distinct n-grams',
        unit: 'share of all',
        metrics: ['diversity/distinct_1', 'diversity/distinct_2', 'diversity/distinct_3'],
      },
      { title: 'Self-BLEU', unit: '0 to 1', metrics: ['diversity/self_bleu', 'diversity/self_bleu_prompt'] },
    ],
  },
  { title: 'Optimizer', charts: ['grad_norm', 'learning_rate', 'skipped_steps'] },
  { title: 'Machine', charts: ['tokens_per_second', 'memory/peak', 'memory/live_tensors', 'num_tokens'] },
];

/** What a standard error is called beside its metric; it is drawn as the band of that metric. */
export const errorName = (name: string) => `${name}_error`;

/** The charts of the metrics that there are, in sections; those that the table does not know come last. */
export function chartSections(names: readonly string[]): { title: string; charts: ChartSpec[] }[] {
  const left = new Set(names);
  for (const name of names) left.delete(errorName(name));
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
  const { title, unit, isState } = metricText(name);
  return { title, unit, metrics: [name], isState };
}

/** What is said of a run before anything else, of evaluations where it has any. */
export const headlines = ['rewards/margins', 'rewards/accuracies', 'kl/initial', 'length/mean', 'gold/reward'];

/** Whether a run has been evaluated on rows that it is not trained on. */
export const isEvaluated = ({ evaluation }: RunSummary) => Object.keys(evaluation).length > 0;

/**
 * A run's newest value of a metric: of evaluations, which measure against the initial model and so say more than a
 * step, or of the last step where there is none. The two are never mixed in a run.
 */
export const newestValue = (run: RunSummary, name: string): number | null =>
  (isEvaluated(run) ? run.evaluation : run.metrics)[name] ?? null;
