import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { type DType, manualSeed, nativeConfig, setNumThreads } from '@reanchor/torch';
import { type PlanOptions, packPairs, pairTokens, planSteps, stepCount, type TokenizedPair } from '../data/index.js';
import { requireWritable } from '../formats/index.js';
import { pairMethods } from '../losses/methods.js';
import type { CausalLM } from '../models/causal-lm.js';
import { loadModel } from '../models/load.js';
import { modelBytes } from '../models/save.js';
import { requireVocabulary } from '../models/score-pairs.js';
import { CopiedReference } from '../reference/copied-reference.js';
import {
  createRunFolder,
  EventWriter,
  type NewRunEvent,
  type Recipe,
  type RunEvent,
  refuseUsedFolder,
} from '../runs/index.js';
import { loadTokenizer } from '../text/tokenizer.js';
import { Evaluation } from './evaluation.js';
import { type Metrics, stepMetrics } from './metrics.js';
import { type RecipePairs, recipePairs } from './recipe-pairs.js';
import { saveOrRescue } from './save-trained.js';
import { StepLog } from './step-log.js';
import { Trainer } from './trainer.js';
import { runWarnings } from './warnings.js';

export interface TrainOptions {
  recipe: Recipe;
  /** The run folder to be made; it must not exist yet, or be empty. */
  out: string;
  /** The command and its arguments, for run.json. */
  command: readonly string[];
  /** Hears every event as it is written to events.jsonl. */
  onEvent?: ((event: RunEvent) => void) | undefined;
  /**
   * Ends the run after the step or evaluation batch that is being computed; the model is then saved as `interrupted`.
   */
  signal?: AbortSignal | undefined;
}

export interface TrainResult {
  /** The run folder. */
  folder: string;
  /** The folder of the trained model inside it: `final`, or `interrupted` after an abort. */
  final: string;
  /** Optimizer steps taken. */
  steps: number;
  evaluations: { step: number; metrics: Metrics }[];
}

const dtypes: Record<Recipe['precision'], DType> = { fp32: 'float32', fp64: 'float64' };

/**
 * Trains what a recipe describes and leaves a run folder: run.json, events.jsonl, final/. All that can be wrong with
 * recipe, model and data is found before the folder is made. Errors: UserError for what a user can mend, divergence
 * among it; SelfCheckError when the run contradicts itself; the signal's reason when it is aborted before the first
 * step.
 */
export async function train({ recipe, out, command, onEvent, signal }: TrainOptions): Promise<TrainResult> {
  if (recipe.threads !== undefined) setNumThreads(recipe.threads);
  manualSeed(recipe.seed);
  refuseUsedFolder(out);
  using policy = await loadModel(recipe.model, { dtype: dtypes[recipe.precision] });
  await requireWritable(existingParent(out), modelBytes(policy));
  const tokenizer = await loadTokenizer(recipe.model);
  const pairs = await recipePairs(recipe, tokenizer);
  requireVocabulary(policy, [...pairs.train, ...pairs.validation]);

  const started = performance.now();
  const folder = await createRunFolder(out, { recipe, command, torch: nativeConfig().compiledFor });
  using events = new EventWriter(folder.events);
  const emit = (event: NewRunEvent) => {
    const written = events.write(event);
    onEvent?.(written);
  };
  const { batch, data, epochs, steps, seed } = recipe;
  const { size: batchSize, tokensPerMicroBatch } = batch;
  const plan: PlanOptions = { batchSize, tokensPerMicroBatch, epochs, steps, seed, shuffle: data.shuffle };
  const totalSteps = stepCount(pairs.train.length, plan);
  announce(recipe, totalSteps, policy, pairs, emit);

  const evaluations: TrainResult['evaluations'] = [];
  const report = (step: number, metrics: Metrics) => {
    evaluations.push({ step, metrics });
    emit({ type: 'evaluation', step, metrics });
  };
  const evaluation =
    pairs.validation.length === 0
      ? undefined
      : await Evaluation.of(pairs.validation, policy, { beta: recipe.loss.beta, tokensPerMicroBatch, signal });
  if (evaluation) report(0, evaluation.initialMetrics());

  using reference = new CopiedReference(policy, recipe.reference);
  using trainer = new Trainer({
    policy,
    reference,
    method: pairMethods[recipe.method](recipe.loss),
    optimizer: recipe.optimizer,
    schedule: recipe.schedule,
    maxGradNorm: recipe.maxGradNorm,
    totalSteps,
  });
  try {
    for await (const step of trainSteps(recipe, trainer, pairs.train, plan, emit)) {
      signal?.throwIfAborted();
      const isDue = step === totalSteps || step % (recipe.evaluate.every ?? totalSteps) === 0;
      if (evaluation && isDue) report(step, await evaluation.metrics(policy));
    }
  } catch (error) {
    if (!signal?.aborted || error !== signal.reason) throw error;
  }

  const final = trainer.steps === totalSteps ? folder.final : join(folder.path, 'interrupted');
  const { version: updates } = reference;
  await saveOrRescue(final, { policy, tokenizer, recipe, steps: trainer.steps, totalSteps, updates, evaluations });
  emit({ type: 'saved', folder: final });
  emit({ type: 'end', steps: trainer.steps, seconds: (performance.now() - started) / 1000 });
  return { folder: folder.path, final, steps: trainer.steps, evaluations };
}

/** `path`, or the nearest folder above it that is there: where a new folder will be made. */
function existingParent(path: string): string {
  let place = resolve(path);
  while (!existsSync(place)) place = dirname(place);
  return place;
}

/**
 * Takes the planned steps one by one, writes their events, and gives the number of each. The event loop turns after
 * every step.
 */
async function* trainSteps(
  recipe: Recipe,
  trainer: Trainer,
  pairs: readonly TokenizedPair[],
  plan: PlanOptions,
  emit: (event: NewRunEvent) => void,
): AsyncGenerator<number> {
  const log = new StepLog(recipe.logEvery);
  const { update } = recipe.reference;
  let version = 0;
  let last = { step: 0, epoch: 0 };
  try {
    for (const { step, epoch, microBatches } of planSteps(pairs.map(pairTokens), plan)) {
      const started = performance.now();
      const packed = microBatches.map((rows) => packPairs(rows.map((row) => pairs[row]!)));
      const result = trainer.step(packed);
      last = { step, epoch };
      if (result.update && update !== 'fixed') {
        const { distanceBefore, distanceAfter } = result.update;
        version = result.update.version;
        emit({ type: 'reference', step, version, update, distanceBefore, distanceAfter });
      }
      const tokens = packed.reduce((n, batch) => n + batch.tokens.length, 0);
      const metrics = { ...stepMetrics(result), 'reference/version': version };
      const logged = log.add(metrics, tokens, performance.now() - started);
      if (logged) emit({ type: 'step', step, epoch, metrics: logged });
      await setImmediate();
      yield step;
    }
  } finally {
    const rest = log.flush();
    if (rest) emit({ type: 'step', ...last, metrics: rest });
  }
}

/** What is known before the first step: sizes, rows left out, warnings. */
function announce(
  recipe: Recipe,
  steps: number,
  policy: CausalLM,
  pairs: RecipePairs,
  emit: (event: NewRunEvent) => void,
): void {
  const parameters = [...policy.parameters.values()].reduce((n, parameter) => n + parameter.numel, 0);
  emit({ type: 'start', steps, pairs: pairs.train.length, validationPairs: pairs.validation.length, parameters });
  for (const { byReason } of pairs.reports) {
    for (const [reason, rows] of byReason) for (const row of rows) emit({ type: 'skipped', reason, ...row });
  }
  for (const message of runWarnings(recipe, steps, policy, pairs)) emit({ type: 'warning', message });
}
