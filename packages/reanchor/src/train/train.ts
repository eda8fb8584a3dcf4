import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { type DType, manualSeed, memory, nativeConfig, setNumThreads } from '@reanchor/torch';
import { describeSkips, packPairs, pairTokens, planSteps, type SkipReport, stepCount } from '../data/index.js';
import { UserError } from '../errors.js';
import { requireWritable } from '../formats/index.js';
import { pairMethods } from '../losses/methods.js';
import type { CausalLM } from '../models/causal-lm.js';
import { loadModel } from '../models/load.js';
import { modelBytes } from '../models/save.js';
import { CopiedReference } from '../reference/copied-reference.js';
import { createRunFolder, EventWriter, type NewRunEvent, type Recipe, type RunEvent } from '../runs/index.js';
import { loadTokenizer } from '../text/tokenizer.js';
import { Evaluation } from './evaluation.js';
import { type Metrics, stepMetrics } from './metrics.js';
import { type RecipePairs, recipePairs } from './recipe-pairs.js';
import { saveTrained } from './save-trained.js';
import { Trainer } from './trainer.js';

export interface TrainOptions {
  recipe: Recipe;
  /** The run folder to be made; it must not exist yet, or be empty. */
  out: string;
  /** The command and its arguments, for run.json. */
  command: readonly string[];
  /** Hears every event as it is written to events.jsonl. */
  onEvent?: ((event: RunEvent) => void) | undefined;
  /** Ends the run after the step that is being taken; the model is then saved as `interrupted`. */
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
 * Trains what a recipe describes and leaves a run folder: run.json, events.jsonl, final/. All that can be wrong with recipe, model and data is found
 * before the folder is made. Errors: UserError for what a user can mend; SelfCheckError when the run contradicts itself.
 */
export async function train({ recipe, out, command, onEvent, signal }: TrainOptions): Promise<TrainResult> {
  if (recipe.threads !== undefined) setNumThreads(recipe.threads);
  manualSeed(recipe.seed);
  const tokenizer = await loadTokenizer(recipe.model);
  const pairs = await recipePairs(recipe, tokenizer);
  using policy = await loadModel(recipe.model, { dtype: dtypes[recipe.precision] });

  await requireWritable(out, modelBytes(policy));
  const started = performance.now();
  const folder = await createRunFolder(out, { recipe, command, torch: nativeConfig().compiledFor });
  using events = new EventWriter(folder.events);
  const emit = (event: NewRunEvent) => {
    const written = events.write(event);
    onEvent?.(written);
  };

  const { size: batchSize, tokensPerMicroBatch } = recipe.batch;
  const plan = {
    batchSize,
    tokensPerMicroBatch,
    epochs: recipe.epochs,
    steps: recipe.steps,
    seed: recipe.seed,
    shuffle: recipe.data.shuffle,
  };
  const totalSteps = stepCount(pairs.train.length, plan);
  const parameters = [...policy.parameters.values()].reduce((n, parameter) => n + parameter.numel, 0);
  emit({
    type: 'start',
    steps: totalSteps,
    pairs: pairs.train.length,
    validationPairs: pairs.validation.length,
    parameters,
  });
  for (const report of pairs.reports) emitSkips(report, emit);
  for (const message of warnings(recipe, totalSteps, policy, pairs)) emit({ type: 'warning', message });

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
  const evaluations: TrainResult['evaluations'] = [];
  const evaluation = await Evaluation.of(pairs.validation, policy, { beta: recipe.loss.beta, tokensPerMicroBatch });
  const evaluate = async (step: number) => {
    if (pairs.validation.length === 0) return;
    const metrics = await evaluation.metrics(policy);
    evaluations.push({ step, metrics });
    emit({ type: 'evaluation', step, metrics });
  };

  await evaluate(0);
  const log = new StepLog(recipe.logEvery);
  for (const { step, epoch, microBatches } of planSteps(pairs.train.map(pairTokens), plan)) {
    const packed = microBatches.map((rows) => packPairs(rows.map((row) => pairs.train[row]!)));
    const result = trainer.step(packed);
    const tokens = packed.reduce((n, batch) => n + batch.tokens.length, 0);
    const metrics = log.add({ ...stepMetrics(result), 'reference/version': reference.version }, tokens);
    if (result.update && recipe.reference.update !== 'fixed') {
      const { version, distanceBefore, distanceAfter } = result.update;
      emit({ type: 'reference', step, version, update: recipe.reference.update, distanceBefore, distanceAfter });
    }
    if (metrics) emit({ type: 'step', step, epoch, metrics });
    refuseDivergence(step, result.gradNorm);
    const { every } = recipe.evaluate;
    if (every !== undefined && step % every === 0 && step < totalSteps) await evaluate(step);
    await setImmediate();
    if (signal?.aborted) break;
  }
  const interrupted = trainer.steps < totalSteps;
  if (!interrupted) await evaluate(trainer.steps);

  const final = join(folder.path, interrupted ? 'interrupted' : 'final');
  await saveTrained(final, { policy, tokenizer, recipe, steps: trainer.steps, evaluations });
  emit({ type: 'saved', folder: final });
  emit({ type: 'end', steps: trainer.steps, seconds: (performance.now() - started) / 1000 });
  return { folder: folder.path, final, steps: trainer.steps, evaluations };
}

function emitSkips(report: SkipReport, emit: (event: NewRunEvent) => void): void {
  for (const [reason, rows] of report.byReason) for (const row of rows) emit({ type: 'skipped', reason, ...row });
}

function warnings(
  { reference }: Recipe,
  totalSteps: number,
  policy: CausalLM,
  { train, reports }: RecipePairs,
): string[] {
  const found = reports.flatMap((report) => describeSkips({ ...report, byReason: new Map() }));
  if ('tau' in reference && reference.tau > totalSteps) {
    found.push(
      `reference.tau is ${reference.tau} and the run has ${totalSteps} steps: the reference never moves, this is training with a fixed reference`,
    );
  }
  const positions = policy.configJson.max_position_embeddings;
  const longest = train.reduce(
    (n, pair) => Math.max(n, pair.prompt.length + Math.max(pair.chosen.length, pair.rejected.length)),
    0,
  );
  if (typeof positions === 'number' && longest > positions) {
    found.push(
      `the longest row has ${longest} tokens and the model was made for ${positions} (max_position_embeddings): set data.maxLength to ${positions} or less`,
    );
  }
  return found;
}

function refuseDivergence(step: number, gradNorm: number): void {
  if (Number.isFinite(gradNorm)) return;
  throw new UserError(
    `the gradient's norm in step ${step} is ${gradNorm}: the run has diverged and is stopped; events.jsonl has the steps before. ` +
      'Lower optimizer.lr or maxGradNorm, or lengthen schedule.warmupSteps',
  );
}

/** Gathers the metrics of `every` steps into one logged step: means, but the last value of what is a state rather than a measurement of a step. */
class StepLog {
  #steps: Metrics[] = [];
  #tokens = 0;
  #allTokens = 0;
  #since = performance.now();

  constructor(readonly every: number) {}

  add(metrics: Metrics, tokens: number): Metrics | undefined {
    this.#steps.push(metrics);
    this.#tokens += tokens;
    this.#allTokens += tokens;
    if (this.#steps.length < this.every) return undefined;
    const last = ['grad_norm', 'learning_rate', 'reference/distance', 'reference/version'];
    const means = Object.keys(metrics).map((name) => {
      const values = this.#steps.map((step) => step[name]!);
      return [name, last.includes(name) ? values.at(-1)! : values.reduce((a, b) => a + b, 0) / values.length] as const;
    });
    const now = performance.now();
    const { peakRss, liveTensors } = memory();
    const logged = {
      ...Object.fromEntries(means),
      num_tokens: this.#allTokens,
      tokens_per_second: this.#tokens / ((now - this.#since) / 1000),
      'memory/peak': peakRss,
      'memory/live_tensors': liveTensors,
    };
    this.#steps = [];
    this.#tokens = 0;
    this.#since = now;
    return logged;
  }
}
