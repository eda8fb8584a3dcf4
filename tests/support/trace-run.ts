/** Makes a training run again that TRL 1.13 made, alone or with other processes, and tells its numbers. */

import { readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { ProcessGroup } from '@reanchor/torch';
import {
  loadPreferenceRows,
  type RowPlace,
  type TokenizedExample,
  type TokenizedPair,
  type TokenizedText,
  tokenizePairs,
} from '#reanchor/data/index.js';
import { AdamW, learningRates } from '#reanchor/optim/index.js';
import { openMesh } from '#reanchor/parallel/mesh.js';
import { tell } from '#reanchor/parallel/tell.js';
import { CopiedReference } from '#reanchor/reference/copied-reference.js';
import type { UpdateRule } from '#reanchor/reference/update-rule.js';
import { loadTokenizer } from '#reanchor/text/tokenizer.js';
import { type ExampleScores, exampleObjective } from '#reanchor/train/objectives/examples.js';
import type { LoggedRow, Objective } from '#reanchor/train/objectives/objective.js';
import { type PairScores, pairObjective } from '#reanchor/train/objectives/pairs.js';
import { type TextScores, textObjective } from '#reanchor/train/objectives/texts.js';
import { Trainer } from '#reanchor/train/trainer.js';
import type { AdapterWeights } from '#reanchor/weights/adapter-weights.js';
import { loadWeights } from '#reanchor/weights/load.js';
import { loadAdapterWeights } from '#reanchor/weights/load-adapter.js';
import type { Shard } from '#reanchor/weights/sharded-weights.js';
import type { SaveRequest } from '#reanchor/weights/weights.js';
import { pairMethodOf } from './training.js';

export interface TraceConfig {
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
  /** Of a run with an adapter: where its rows are, what it starts from, and how its reference moves. */
  rows?: string;
  start?: string;
  reference?: { update: 'base' | 'copy' | 'hard' | 'factors' | 'product'; alpha?: number; tau?: number };
  rows_dropped?: number;
  suggested_tolerance_fp32: Record<string, number>;
}
type Args = TraceConfig['args'];

/** A run to be made: a trace, its model, and the folder for the final weights. */
export interface TraceOrder {
  trace: string;
  model: string;
  dtype: 'float32' | 'float64';
  out: string;
  /** What several processes divide. */
  shard?: Shard | 'none';
}

/** What a run has come to, besides the final weights: `policy` and, where there is one, `reference` in its folder. */
export interface TraceNumbers {
  rowsDropped: number;
  steps: {
    /** By TRL's names. */
    metrics: Record<string, number | undefined>;
    /** Of each row of the step, in order. */
    rows: Record<string, number[]>;
  }[];
}

/** What is compared beside the metrics of a step: numbers of its rows, by TRL's name, in order. */
interface Followed<Row, Score extends LoggedRow> {
  objective: Objective<Row, Score>;
  rows: Row[];
  rowsDropped: number;
  rowNumbers: Record<string, (score: Score) => number>;
  /** What TRL takes over micro-batches, each counting the same, and what over the rows of a step. */
  metrics(scores: Score[][]): Record<string, number>;
}

/** Trains as the trace says, with the processes of `world` where one is given. */
export async function traceNumbers(order: TraceOrder, world?: ProcessGroup): Promise<TraceNumbers> {
  const config = readTraceConfig(order.trace);
  const { args } = config;
  const rows = rowsFolder(order);
  if (args.loss_type === 'kto') return follow(order, args, ktoTrace(rows, args), world);
  if (args.beta === undefined) return follow(order, args, sftTrace(rows, args), world);
  return follow(order, args, await pairTrace(rows, order.model, args), world);
}

/** The folder with a trace's rows: its own, or that of the trace whose rows an adapter's run takes. */
function rowsFolder({ trace }: TraceOrder): string {
  const other = /parity\/traces\/([\w-]+)\//.exec(readTraceConfig(trace).rows ?? '')?.[1];
  return other === undefined ? trace : join(trace, '../../../traces', other);
}

export const readTraceConfig = (trace: string): TraceConfig =>
  JSON.parse(readFileSync(join(trace, 'config.json'), 'utf8'));

async function follow<Row, Score extends LoggedRow>(
  { trace, model, dtype, out, shard }: TraceOrder,
  args: Args,
  { objective, rows, rowsDropped, rowNumbers, metrics }: Followed<Row, Score>,
  world?: ProcessGroup,
): Promise<TraceNumbers> {
  using mesh = await openMesh(world ?? ProcessGroup.alone(), 1);
  const { start, reference: moves } = readTraceConfig(trace);
  const options = { dtype, mesh, parallel: { shard: shard ?? 'none' } } as const;
  using weights =
    start === undefined
      ? await loadWeights(model, options)
      : await loadAdapterWeights(model, { base: 'base', from: join(trace, '..', start) }, options);
  const rule = moves ? adapterRule(moves) : updateRule(args);
  const average = moves?.update === 'factors' || moves?.update === 'product' ? { form: moves.update } : undefined;
  const initial = moves?.update === 'base' ? (weights as AdapterWeights).anchorAtBase() : undefined;
  using reference = objective.needsReference ? new CopiedReference(weights, rule, { initial, average }) : undefined;
  const { learning_rate: lr, adam_beta1, adam_beta2, adam_epsilon: eps, weight_decay: weightDecay } = args;
  using trainer = new Trainer<Row, Score>({
    plan: { objective, maxGradNorm: args.max_grad_norm },
    ...{ weights, reference, world },
    optimizer: new AdamW(weights.trained.values(), { betas: [adam_beta1, adam_beta2], eps, weightDecay }),
    schedule: learningRates({ type: 'linear', warmupSteps: args.warmup_steps }, lr, args.max_steps),
  });

  const size = args.per_device_train_batch_size;
  const batches = args.gradient_accumulation_steps;
  const steps = Array.from({ length: args.max_steps }, (_, i) => {
    const microBatches = Array.from({ length: batches }, (_, b) =>
      Array.from({ length: size }, (_, row) => (i * batches + b) * size + row),
    );
    const owned = objective
      .layOut({ step: i + 1, epoch: 0, microBatches }, rows)
      .map((batch, b) => ({ ...batch, owner: world && b % world.world }));
    const result = trainer.step(owned);
    const scores = microBatches.map((_, b) => result.scores.slice(b * size, (b + 1) * size));
    return {
      metrics: {
        grad_norm: result.gradNorm,
        learning_rate: result.learningRate,
        policy_reference_distance: result.distance,
        ...metrics(scores),
      },
      rows: Object.fromEntries(Object.entries(rowNumbers).map(([name, of]) => [name, result.scores.map(of)])),
    };
  });
  if (world === undefined || world.rank === 0) {
    await mkdir(join(out, 'policy'), { recursive: true });
    await weights.save(join(out, 'policy'), {});
    await reference?.save(join(out, 'reference'), {});
  } else if (weights.isSharded) {
    for (const _ of [weights, reference].filter(Boolean)) await trainer.takePart(tell<SaveRequest>(world));
  }
  return { rowsDropped, steps };
}

async function pairTrace(
  folder: string,
  modelFolder: string,
  args: Args,
): Promise<Followed<TokenizedPair, PairScores>> {
  const rows = await loadPreferenceRows([join(folder, 'rows.jsonl.gz')], { format: 'explicit' });
  const options = { maxLength: args.max_length, keepIdentical: true };
  const { pairs, report } = tokenizePairs(rows, await loadTokenizer(modelFolder), options);
  const rowsDropped = report.byReason.get('prompt fills maxLength')?.length ?? 0;
  if (pairs.length !== rows.length - rowsDropped) throw new Error(`${rows.length} rows have ${pairs.length} pairs`);
  const objective = pairObjective(pairMethodOf(args.loss_type === 'ipo' ? 'ipo' : 'sigmoid', { beta: args.beta! }));
  return {
    objective,
    rows: pairs,
    rowsDropped,
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
    rowsDropped: 0,
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
    rowsDropped: 0,
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

export function jsonLines<T>(folder: string, name: string): T[] {
  const bytes = readFileSync(join(folder, name));
  const text = (name.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8');
  return text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as T);
}

function adapterRule({ update, alpha, tau }: NonNullable<TraceConfig['reference']>): UpdateRule {
  if (update === 'hard') return { update, tau: tau! };
  return update === 'base' || update === 'copy' ? { update: 'fixed' } : { update: 'soft', alpha: alpha! };
}

function updateRule({ sync_ref_model, ref_model_mixup_alpha: alpha, ref_model_sync_steps: tau }: Args): UpdateRule {
  if (!sync_ref_model) return { update: 'fixed' };
  return tau === 1 ? { update: 'soft', alpha: alpha! } : { update: 'hard', tau: tau! };
}
