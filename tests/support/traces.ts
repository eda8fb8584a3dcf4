// Follows a training run that TRL 1.13 made, step by step.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Tensor, tidy } from '@reanchor/torch';
import { expect } from 'vitest';
import { loadPreferenceRows, packPairs, tokenizePairs } from '../../packages/reanchor/src/data/index.js';
import { pairMethods } from '../../packages/reanchor/src/losses/methods.js';
import { loadModel } from '../../packages/reanchor/src/models/load.js';
import { CopiedReference } from '../../packages/reanchor/src/reference/copied-reference.js';
import type { UpdateRule } from '../../packages/reanchor/src/reference/update-rule.js';
import { loadTokenizer } from '../../packages/reanchor/src/text/tokenizer.js';
import { stepMetrics } from '../../packages/reanchor/src/train/metrics.js';
import { Trainer } from '../../packages/reanchor/src/train/trainer.js';
import { readTensors } from './tensors.js';

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
    beta: number;
    sync_ref_model?: boolean;
    ref_model_mixup_alpha?: number;
    ref_model_sync_steps?: number;
  };
  rows_dropped: number;
  suggested_tolerance_fp32: Record<string, number>;
}
type Summary = Record<string, { norm: number; change_norm: number; sample_index: number[]; sample_value: number[] }>;
type StepLine = Record<string, number> & { micro: Record<string, number[]>[] };

const compared = [
  'loss',
  'grad_norm',
  'learning_rate',
  'rewards/chosen',
  'rewards/rejected',
  'rewards/margins',
  'logps/chosen',
  'logps/rejected',
  'policy_reference_distance',
];

/** Trains as the trace in `folder` says and compares every step and the final weights with it. */
export async function followTrace(folder: string, modelFolder: string, dtype: 'float32' | 'float64'): Promise<void> {
  const { args, rows_dropped, suggested_tolerance_fp32: suggested } = json<TraceConfig>(folder, 'config.json');
  const pairs = await tokenised(folder, modelFolder, args.max_length, rows_dropped);
  using policy = await loadModel(modelFolder, { dtype });
  using reference = new CopiedReference(policy, updateRule(args));
  using trainer = new Trainer({
    policy,
    reference,
    method: pairMethods.dpo({ beta: args.beta, labelSmoothing: 0 }),
    optimizer: {
      lr: args.learning_rate,
      betas: [args.adam_beta1, args.adam_beta2],
      eps: args.adam_epsilon,
      weightDecay: args.weight_decay,
    },
    schedule: { type: 'linear', warmupSteps: args.warmup_steps },
    maxGradNorm: args.max_grad_norm,
    totalSteps: args.max_steps,
  });

  const lines = readFileSync(join(folder, 'steps.fp64.jsonl'), 'utf8').trim().split('\n');
  const size = args.per_device_train_batch_size;
  const batches = args.gradient_accumulation_steps;
  for (const line of lines.map((text) => JSON.parse(text) as StepLine)) {
    const first = (line.step! - 1) * size * batches;
    const micro = Array.from({ length: batches }, (_, i) => pairs.slice(first + i * size, first + (i + 1) * size));
    const result = trainer.step(micro.map(packPairs));
    const { 'reference/distance': distance, ...metrics } = stepMetrics(result);
    const ours: Record<string, number> = { ...metrics, policy_reference_distance: distance! };
    for (const name of compared) {
      // TRL keeps its running means in fp32, also in the float64 run.
      const tolerance = dtype === 'float32' ? (suggested[name] ?? 1e-12) : 2e-7 * Math.max(1, Math.abs(line[name]!));
      expect(Math.abs(ours[name]! - line[name]!), `step ${line.step}, ${name}`).toBeLessThanOrEqual(tolerance);
    }
    for (const [theirs, ours] of rowLogprobs) {
      expect(result.pairs.map((pair) => pair[ours])).toBeCloseToTensor(
        line.micro.flatMap((micro) => micro[theirs]!),
        dtype === 'float32' ? 1e-5 : 1e-10,
      );
    }
  }

  const weightTolerance = dtype === 'float32' ? 2e-5 : 1e-9;
  const final = json<{ policy: Summary; reference: Summary }>(folder, 'final.json');
  expectSummary(policy.parameters, final.policy, weightTolerance);
  expectSummary(reference.model.parameters, final.reference, weightTolerance);
  await expectWeights(policy.parameters, join(folder, 'policy.safetensors'));
  await expectWeights(reference.model.parameters, join(folder, 'reference.safetensors'));
}

/** TRL's name and ours of the log-probabilities of every row. */
const rowLogprobs = [
  ['chosen_logps', 'chosenLogprob'],
  ['rejected_logps', 'rejectedLogprob'],
  ['ref_chosen_logps', 'chosenReferenceLogprob'],
  ['ref_rejected_logps', 'rejectedReferenceLogprob'],
] as const;

const json = <T>(folder: string, name: string) => JSON.parse(readFileSync(join(folder, name), 'utf8')) as T;

async function tokenised(folder: string, modelFolder: string, maxLength: number, dropped: number) {
  const rows = await loadPreferenceRows([join(folder, 'rows.jsonl.gz')], { format: 'explicit' });
  const { pairs, report } = tokenizePairs(rows, await loadTokenizer(modelFolder), { maxLength, keepIdentical: true });
  expect(report.byReason.get('prompt fills maxLength')?.length ?? 0).toBe(dropped);
  expect(pairs.length).toBe(rows.length - dropped);
  return pairs;
}

function updateRule({
  sync_ref_model,
  ref_model_mixup_alpha: alpha,
  ref_model_sync_steps: tau,
}: TraceConfig['args']): UpdateRule {
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
