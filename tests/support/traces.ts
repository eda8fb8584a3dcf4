// Follows a training run that TRL 1.13 made, step by step.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { type Tensor, tidy } from '@reanchor/torch';
import { expect } from 'vitest';
import {
  loadPreferenceRows,
  type RowPlace,
  type TokenizedExample,
  type TokenizedPair,
  type TokenizedText,
  tokenizePairs,
} from '#reanchor/data/index.js';
import { loadModel } from '#reanchor/models/load.js';
import { AdamW, learningRates } from '#reanchor/optim/index.js';
import { CopiedReference } from '#reanchor/reference/copied-reference.js';
import type { UpdateRule } from '#reanchor/reference/update-rule.js';
import { loadTokenizer } from '#reanchor/text/tokenizer.js';
import { type ExampleScores, exampleObjective } from '#reanchor/train/objectives/examples.js';
import type { LoggedRow, Objective } from '#reanchor/train/objectives/objective.js';
import { type PairScores, pairObjective } from '#reanchor/train/objectives/pairs.js';
import { type TextScores, textObjective } from '#reanchor/train/objectives/texts.js';
import { Trainer } from '#reanchor/train/trainer.js';
import { Weights } from '#reanchor/weights/weights.js';
import { readTensors } from './tensors.js';
import { pairMethodOf } from './training.js';

interface TraceConfig {
  args: {
    per_device_train_batch_size: number;
    gradient_accumulation_steps: number;
    adam_beta1: number;
    adam_beta2: number;
    adam_epsilon: number;
    weight_decay: number;
    warmup_steps: number;
    max_grad_norm: number;
    max_length: number;
    max_steps: number;
    learning_rate: number;
    beta?: number;
    loss_type?: string;
    desirable_weight?: number;
    undesirable_weight?: number;
    sync_ref_model?: boolean;
    ref_model_mixup_alpha?: number;
    ref_model_sync_steps?: number;
  };
  rows_dropped: number;
  suggested_tolerance_fp32: Record<string, number>;
}
type Args = TraceConfig['args'];
type Summary = Record<string, { norm: number; change_norm: number; sample_index: number[]; sample_value: number[] }>;
type StepLine = Record<string, number> & { micro: Record<string, number[]>[] };

/** What is compared beside the metrics of a step: numbers of its rows, by TRL's name, in order. */
interface Followed<Row, Score extends LoggedRow> {
  objective: Objective<Row, Score>;
  rows: Row[];
  rowNumbers: Record<string, (score: Score) => number>;
  /** What TRL takes over micro-batches, each counting the same, and what over the rows of a step. */
  metrics(scores: Score[][]): Record<string, number>;
}

/** Trains as the trace in `folder` says and compares every step and the final weights with it. */
export async function followTrace(folder: string, modelFolder: string, dtype: 'float32' | 'float64'): Promise<void> {
  const config = json<TraceConfig>(folder, 'config.json');
  const { args } = config;
  if (args.loss_type === 'kto') return follow(folder, modelFolder, dtype, config, ktoTrace(folder, args));
  if (args.beta === undefined) return follow(folder, modelFolder, dtype, config, sftTrace(folder, args));
  return follow(folder, modelFolder, dtype, config, await pairTrace(folder, modelFolder, config));
}

async function follow<Row, Score extends LoggedRow>(
  folder: string,
  modelFolder: string,
  dtype: 'float32' | 'float64',
  { args, suggested_tolerance_fp32: suggested }: TraceConfig,
  { objective, rows, rowNumbers, metrics }: Followed<Row, Score>,
): Promise<void> {
  using policy = await loadModel(modelFolder, { dtype });
  const trained = new Weights(policy);
  const reference = objective.needsReference ? new CopiedReference(trained, updateRule(args)) : undefined;
  const { learning_rate: lr, adam_beta1, adam_beta2, adam_epsilon: eps, weight_decay: weightDecay } = args;
  using trainer = new Trainer<Row, Score>({
    plan: { objective, maxGradNorm: args.max_grad_norm },
    weights: trained,
    reference,
    optimizer: new AdamW(trained.trained.values(), { betas: [adam_beta1, adam_beta2], eps, weightDecay }),
    schedule: learningRates({ type: 'linear', warmupSteps: args.warmup_steps }, lr, args.max_steps),
  });

  const size = args.per_device_train_batch_size;
  const batches = args.gradient_accumulation_steps;
  for (const line of jsonLines<StepLine>(folder, 'steps.fp64.jsonl')) {
    const step = line.step!;
    const first = (step - 1) * size * batches;
    const microBatches = Array.from({ length: batches }, (_, b) =>
      Array.from({ length: size }, (_, i) => first + b * size + i),
    );
    const result = trainer.step(objective.layOut({ step, epoch: 0, microBatches }, rows));
    const scores = microBatches.map((_, b) => result.scores.slice(b * size, (b + 1) * size));
    const ours: Record<string, number | undefined> = {
      grad_norm: result.gradNorm,
      learning_rate: result.learningRate,
      policy_reference_distance: result.distance,
      ...metrics(scores),
    };
    for (const [name, value] of Object.entries(ours)) {
      const theirs = line[name];
      if (value === undefined || theirs === undefined) continue;
      // TRL keeps its running means in fp32, also in the float64 run.
      const tolerance = dtype === 'float32' ? (suggested[name] ?? 1e-12) : 2e-7 * Math.max(1, Math.abs(theirs));
      expect(Math.abs(value - theirs), `step ${step}, ${name}`).toBeLessThanOrEqual(tolerance);
    }
    for (const [theirs, ours] of Object.entries(rowNumbers)) {
      expect(result.scores.map(ours)).toBeCloseToTensor(
        line.micro.flatMap((micro) => micro[theirs]!),
        dtype === 'float32' ? 1e-5 : 1e-10,
      );
    }
  }

  const weightTolerance = dtype === 'float32' ? 2e-5 : 2e-9;
  const final = json<{ policy: Summary; reference?: Summary }>(folder, 'final.json');
  expectSummary(policy.parameters, final.policy, weightTolerance);
  await expectWeights(policy.parameters, join(folder, 'policy.safetensors'));
  if (reference) {
    expectSummary(reference.model.parameters, final.reference!, weightTolerance);
    await expectWeights(reference.model.parameters, join(folder, 'reference.safetensors'));
    reference[Symbol.dispose]();
  }
}

async function pairTrace(
  folder: string,
  modelFolder: string,
  { args, rows_dropped }: TraceConfig,
): Promise<Followed<TokenizedPair, PairScores>> {
  const rows = await loadPreferenceRows([join(folder, 'rows.jsonl.gz')], { format: 'explicit' });
  const options = { maxLength: args.max_length, keepIdentical: true };
  const { pairs, report } = tokenizePairs(rows, await loadTokenizer(modelFolder), options);
  expect(report.byReason.get('prompt fills maxLength')?.length ?? 0).toBe(rows_dropped);
  expect(pairs.length).toBe(rows.length - rows_dropped);
  const objective = pairObjective(pairMethodOf(args.loss_type === 'ipo' ? 'ipo' : 'sigmoid', { beta: args.beta! }));
  return {
    objective,
    rows: pairs,
    rowNumbers: {
      chosen_logps: (pair) => pair.chosenLogprob,
      rejected_logps: (pair) => pair.rejectedLogprob,
      ref_chosen_logps: (pair) => pair.chosenReferenceLogprob,
      ref_rejected_logps: (pair) => pair.rejectedReferenceLogprob,
    },
    metrics: (scores) => {
      const { 'rewards/accuracies': _noise, ...metrics } = objective.metrics(scores.flat());
      return metrics;
    },
  };
}

function ktoTrace(folder: string, args: Args): Followed<TokenizedExample, ExampleScores> {
  const labels = jsonLines<{ label: boolean }>(folder, 'rows.jsonl.gz').map(({ label }) => label);
  const tokens = jsonLines<{ prompt_ids: number[]; completion_ids: number[] }>(folder, 'tokens.jsonl.gz');
  const objective = exampleObjective({
    beta: args.beta!,
    desirableWeight: args.desirable_weight!,
    undesirableWeight: args.undesirable_weight!,
    partners: 'previous',
    over: 'microBatch',
    seed: 0,
    maxLength: args.max_length,
  });
  return {
    objective,
    rows: tokens.map(({ prompt_ids, completion_ids }, index) => ({
      ...place(index),
      prompt: Int32Array.from(prompt_ids),
      completion: Int32Array.from(completion_ids.slice(0, args.max_length - prompt_ids.length)),
      uncut: Int32Array.from(completion_ids),
      label: labels[index]!,
    })),
    rowNumbers: { logps: (row) => row.logprob, ref_logps: (row) => row.referenceLogprob },
    metrics: (scores) => ({
      ...meansOf(scores.map((batch) => objective.metrics(batch)).map(({ 'rewards/margins': _, ...rest }) => rest)),
    }),
  };
}

function sftTrace(folder: string, args: Args): Followed<TokenizedText, TextScores> {
  const objective = textObjective();
  const tokens = jsonLines<{ input_ids: number[]; labels: number[] }>(folder, 'tokens.jsonl.gz');
  return {
    objective,
    rows: tokens.map(({ input_ids, labels }, index) => {
      const start = labels.findIndex((label) => label !== -100);
      const ids = Int32Array.from(input_ids.slice(0, args.max_length));
      return { ...place(index), prompt: ids.subarray(0, start), completion: ids.subarray(start) };
    }),
    rowNumbers: {},
    metrics: (scores) => objective.metrics(scores.flat()),
  };
}

const place = (index: number): RowPlace & { boundaryMismatch: boolean } => ({
  index,
  line: index + 1,
  file: 'trace',
  boundaryMismatch: false,
});

/** Metrics as means over the micro-batches that have them. */
function meansOf(batches: Record<string, number>[]): Record<string, number> {
  const names = [...new Set(batches.flatMap(Object.keys))];
  const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  return Object.fromEntries(names.map((name) => [name, mean(batches.flatMap((batch) => batch[name] ?? []))]));
}

const json = <T>(folder: string, name: string) => JSON.parse(readFileSync(join(folder, name), 'utf8')) as T;

function jsonLines<T>(folder: string, name: string): T[] {
  const bytes = readFileSync(join(folder, name));
  const text = (name.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8');
  return text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as T);
}

function updateRule({ sync_ref_model, ref_model_mixup_alpha: alpha, ref_model_sync_steps: tau }: Args): UpdateRule {
  if (!sync_ref_model) return { update: 'fixed' };
  return tau === 1 ? { update: 'soft', alpha: alpha! } : { update: 'hard', tau: tau! };
}

function expectSummary(parameters: ReadonlyMap<string, Tensor>, summary: Summary, tolerance: number): void {
  for (const [name, { norm, sample_index, sample_value }] of Object.entries(summary)) {
    const values = parameters.get(name)!.toList();
    expect(Math.abs(Math.hypot(...values) - norm), name).toBeLessThan(tolerance * Math.sqrt(values.length));
    for (const [i, index] of sample_index.entries()) {
      expect(Math.abs(values[index]! - sample_value[i]!), name).toBeLessThanOrEqual(tolerance);
    }
  }
}

async function expectWeights(parameters: ReadonlyMap<string, Tensor>, file: string): Promise<void> {
  if (!existsSync(file)) return;
  const expected = await readTensors(file);
  tidy(() => {
    for (const [name, parameter] of parameters) {
      const difference = parameter.detach().to('float64').sub(expected.get(name)!).abs().max().item();
      expect(difference, name).toBeLessThanOrEqual(2e-5);
    }
  });
  for (const tensor of expected.values()) tensor.dispose();
}
