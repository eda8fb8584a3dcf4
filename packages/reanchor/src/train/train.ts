import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { type Device, manualSeed, nativeConfig, setNumThreads, span } from '@reanchor/torch';
import {
  type Group,
  groupTokens,
  type PlanOptions,
  planSteps,
  type RowPlace,
  type SourceShare,
  stepCount,
} from '../data/index.js';
import { requireWritable } from '../formats/index.js';
import { stopTokens } from '../generate/index.js';
import { type HubOptions, modelFolder } from '../hub/index.js';
import { copyModel } from '../models/architectures.js';
import type { CausalLM } from '../models/causal-lm.js';
import { loadModel } from '../models/load.js';
import { modelBytes } from '../models/save.js';
import { requireVocabulary } from '../models/score-pairs.js';
import { CachedReference } from '../reference/cached-reference.js';
import { CopiedReference } from '../reference/copied-reference.js';
import type { ReferencePolicy } from '../reference/policy.js';
import { plannedUpdates, type UpdateRule } from '../reference/update-rule.js';
import {
  createRunFolder,
  EventWriter,
  type NewRunEvent,
  type Recipe,
  type RunEvent,
  refuseUsedFolder,
} from '../runs/index.js';
import { MetricSinks } from '../sinks/index.js';
import { loadTokenizer, type Tokenizer } from '../text/tokenizer.js';
import { Evaluation } from './evaluation.js';
import { GeneratedEvaluation } from './generated-evaluation.js';
import { MasterWeights } from './master-weights.js';
import { type Metrics, stepMetrics } from './metrics.js';
import type { LoggedRow, Objective } from './objectives/objective.js';
import { firstProfiled, StepProfiler } from './profiler.js';
import { type DataReport, recipeData } from './recipe-data.js';
import { recipeDevice } from './recipe-device.js';
import { hasMasterWeights, recipeSaveOptions, referenceDType, trainingDType } from './recipe-dtypes.js';
import { recipeExampleObjective, recipePairObjective, recipeTextObjective } from './recipe-objective.js';
import { recipeReference, recipeRule } from './recipe-reference.js';
import { saveOrRescue } from './save-trained.js';
import { StepLog } from './step-log.js';
import { Trainer } from './trainer.js';
import { haltMessage, runWarnings } from './warnings.js';

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
  /** Hears how far a download from the Hub is. */
  onDownload?: HubOptions['onDownload'];
  /** Measures the policy besides the recipe's evaluations: before the run, after every n steps, and after the last. */
  probe?: { every: number; measure(policy: CausalLM, step: number): Promise<Probed> } | undefined;
  /** A file for a Chrome trace of the operators and spans of a few steps, from the second one on. */
  profile?: string | undefined;
}

/** What a probe found: numbers, and texts that the policy wrote. */
export interface Probed {
  metrics: Metrics;
  samples?: { prompt: string; completion: string }[];
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

/**
 * Trains what a recipe describes and leaves a run folder: run.json, events.jsonl, final/. All that can be wrong with
 * recipe, model and data is found before the folder is made. Errors: UserError for what a user can mend, divergence
 * among it; SelfCheckError when the run contradicts itself; the signal's reason when it is aborted before the first
 * step.
 */
export async function train(options: TrainOptions): Promise<TrainResult> {
  const { recipe, out } = options;
  if (recipe.threads !== undefined) setNumThreads(recipe.threads);
  manualSeed(recipe.seed);
  const device = recipeDevice(recipe);
  refuseUsedFolder(out);
  const notes: string[] = [];
  const commits: Record<string, string> = {};
  const hub: HubOptions = {
    onDownload: options.onDownload,
    onCommit: (name, commit) => {
      commits[name] = commit;
    },
    onNote: (note) => notes.push(note),
    signal: options.signal,
  };
  const folder = await modelFolder(recipe.model, hub);
  const { model: initialModel } = recipe.reference;
  const initialFolder = initialModel === undefined ? undefined : await modelFolder(initialModel, hub);
  using weights = await loadPolicy(folder, recipe, device);
  const { policy, masters } = weights;
  await requireWritable(existingParent(out), modelBytes(policy, recipeSaveOptions(recipe).dtype));
  const tokenizer = await loadTokenizer(folder);
  const data = await recipeData(recipe, tokenizer, hub);
  requireVocabulary(policy, [...data.train, ...data.validation]);
  const report = { ...data.report, notes: [...notes, ...data.report.notes] };
  const start = {
    ...options,
    shares: data.shares,
    modelFolder: folder,
    initialFolder,
    commits,
    policy,
    masters,
    tokenizer,
    report,
  };
  switch (data.kind) {
    case 'pairs':
      return await run({
        ...start,
        objective: recipePairObjective(recipe),
        rows: data.train,
        validation: data.validation,
      });
    case 'unpaired':
      return await run({
        ...start,
        objective: recipeExampleObjective(recipe),
        rows: data.train,
        validation: data.validation,
      });
    case 'sft':
      return await run({ ...start, objective: recipeTextObjective(), rows: data.train, validation: data.validation });
  }
}

interface RunOptions<Row, Score extends LoggedRow> extends TrainOptions {
  shares: readonly SourceShare[];
  modelFolder: string;
  /** The folder of the reference's first model, where it is not the policy's. */
  initialFolder: string | undefined;
  commits: Record<string, string>;
  policy: CausalLM;
  masters: MasterWeights | undefined;
  tokenizer: Tokenizer;
  report: DataReport;
  objective: Objective<Row, Score>;
  rows: readonly Row[];
  validation: readonly Row[];
}

/** A run on rows of one kind, from the run folder to the saved model. */
async function run<Row extends RowPlace, Score extends LoggedRow>(
  options: RunOptions<Row, Score>,
): Promise<TrainResult> {
  const { recipe, policy, masters, tokenizer, objective, rows, validation, onEvent, signal, probe } = options;
  const started = performance.now();
  const plan = planOf(recipe, options.shares);
  const totalSteps = stepCount(rows.length, plan);
  const rule: UpdateRule = objective.needsReference ? recipeRule(recipe.reference, totalSteps) : { update: 'fixed' };
  const initial =
    options.initialFolder === undefined
      ? undefined
      : await loadModel(options.initialFolder, { dtype: referenceDType(recipe), device: policy.device });

  const folder = await createRunFolder(options.out, {
    recipe,
    command: options.command,
    commits: options.commits,
    torch: nativeConfig().compiledFor,
    device: policy.device,
  });
  using events = new EventWriter(folder.events);
  await using sinks = new MetricSinks(recipe, folder.path, warn);
  function warn(message: string) {
    emit({ type: 'warning', message });
  }
  function emit(event: NewRunEvent) {
    const written = events.write(event);
    sinks.write(written);
    onEvent?.(written);
  }
  announce(options, totalSteps, rule, emit);
  if (options.profile !== undefined && totalSteps < firstProfiled) {
    warn(`no profile: it begins with step ${firstProfiled}, and the run has ${totalSteps}`);
  }

  const evaluations: TrainResult['evaluations'] = [];
  const evaluation =
    validation.length === 0
      ? undefined
      : await Evaluation.of(objective, validation, policy, {
          tokensPerMicroBatch: recipe.batch.tokensPerMicroBatch,
          signal,
        });
  const generated = await generatedEvaluation(options);
  using snapshot = disposeAll([generated?.needsAnchors ? copyModel(policy) : undefined]);
  const anchorsAt = (reference: ReferencePolicy | undefined) => {
    const [start] = snapshot.items;
    if (!objective.needsReference) return { initial: start };
    const moved = reference instanceof CopiedReference ? reference.model : undefined;
    // Before the reference is made it is what it will begin as; one that is cached has no model.
    const isCached = recipe.reference.storage === 'cached';
    return { initial: start, reference: isCached ? undefined : (moved ?? initial ?? start) };
  };
  const evaluate = async (step: number, current?: ReferencePolicy) => {
    const isLast = step === 0 || step === totalSteps;
    const isEvaluated = evaluation && (isLast || step % (recipe.evaluate.every ?? totalSteps) === 0);
    const isProbed = probe && (isLast || step % probe.every === 0);
    if (!isEvaluated && !isProbed) return;
    const probed = isProbed ? await probe.measure(policy, step) : undefined;
    const metrics = {
      ...(isEvaluated && (step === 0 ? evaluation.initialMetrics() : await evaluation.metrics(policy))),
      ...(isEvaluated && (await generated?.metrics(policy, anchorsAt(current)))),
      ...probed?.metrics,
    };
    evaluations.push({ step, metrics });
    emit({ type: 'evaluation', step, metrics });
    if (probed?.samples) emit({ type: 'samples', step, samples: probed.samples });
    return metrics['rewards/accuracies'];
  };
  await evaluate(0);

  const groups = rows.map((row) => groupTokens(objective.group(row)));
  const microBatches = function* (step: number) {
    for (const planned of planSteps(groups, plan, step)) yield objective.layOut(planned, rows);
  };
  const material = {
    policy,
    rule,
    totalSteps,
    upcoming: microBatches,
    initial,
    masters: masters?.model,
    dtype: referenceDType(recipe),
  };
  const { reference, initialPolicy } = objective.needsReference
    ? recipeReference(recipe.reference, material)
    : { reference: undefined, initialPolicy: undefined };
  using anchors = disposeAll([reference, initialPolicy]);
  using trainer = new Trainer({
    policy,
    masters,
    reference,
    initial: initialPolicy,
    objective,
    optimizer: recipe.optimizer,
    schedule: recipe.schedule,
    maxGradNorm: recipe.maxGradNorm,
    totalSteps,
    resetOptimizer: 'resetOptimizer' in recipe.reference && recipe.reference.resetOptimizer,
    activationCheckpointing: recipe.activationCheckpointing,
  });

  const log = new StepLog(recipe.logEvery, policy.device);
  const profiler = options.profile === undefined ? undefined : new StepProfiler(options.profile, warn);
  let last = { step: 0, epoch: 0 };
  const maxDivergence = 'maxDivergence' in recipe.reference ? recipe.reference.maxDivergence : undefined;
  let isHalted = false;
  try {
    for (const planned of planSteps(groups, plan)) {
      const { step, epoch } = planned;
      for (const anchor of anchors.items) {
        if (anchor instanceof CachedReference) await anchor.prepare(step, { signal });
      }
      const begun = performance.now();
      profiler?.beforeStep(step);
      const laidOut = span('lay out', () => objective.layOut(planned, rows));
      const result = span(`step ${step}`, () => trainer.step(laidOut));
      last = { step, epoch };
      if (result.update && rule.update !== 'fixed') {
        const { version, share, distances } = result.update;
        const { before: distanceBefore, after: distanceAfter } = distances ?? {};
        emit({ type: 'reference', step, version, update: rule.update, share, distanceBefore, distanceAfter });
      }
      if (reference?.isHalted && !isHalted) {
        isHalted = true;
        emit({ type: 'warning', message: haltMessage(step, result.divergence!, maxDivergence!) });
      }
      const metrics = stepMetrics(result, objective);
      if (reference) metrics['reference/version'] = reference.version;
      await profiler?.afterStep(step);
      const tokens = laidOut.reduce((n, { policy: packed }) => n + packed.tokens.length, 0);
      const logged = log.add(metrics, tokens, performance.now() - begun);
      if (logged) emit({ type: 'step', step, epoch, metrics: logged });
      await setImmediate();
      signal?.throwIfAborted();
      const accuracy = await evaluate(step, reference);
      if (accuracy !== undefined) reference?.observe('accuracy', accuracy);
    }
  } catch (error) {
    if (!signal?.aborted || error !== signal.reason) throw error;
  } finally {
    await profiler?.end();
    const rest = log.flush();
    if (rest) emit({ type: 'step', ...last, metrics: rest });
  }

  const final = trainer.steps === totalSteps ? folder.final : join(folder.path, 'interrupted');
  const updates = reference?.version ?? 0;
  const start = { modelFolder: options.modelFolder, commits: options.commits };
  const trained = { policy: masters?.model ?? policy, tokenizer, recipe, totalSteps, updates, evaluations };
  await saveOrRescue(final, { ...trained, ...start, steps: trainer.steps });
  emit({ type: 'saved', folder: final });
  await sinks.close(trainer.steps === totalSteps ? 'finished' : 'interrupted');
  emit({ type: 'end', steps: trainer.steps, seconds: (performance.now() - started) / 1000 });
  return { folder: folder.path, final, steps: trainer.steps, evaluations };
}

/** The model to be trained and, where it computes in half precision, its float32 weights. */
async function loadPolicy(
  folder: string,
  recipe: Recipe,
  device: Device,
): Promise<Disposable & Pick<RunOptions<never, never>, 'policy' | 'masters'>> {
  const dtype = trainingDType(recipe);
  if (!hasMasterWeights(recipe)) {
    const policy = await loadModel(folder, { dtype, device });
    return { policy, masters: undefined, [Symbol.dispose]: () => policy[Symbol.dispose]() };
  }
  const wide = await loadModel(folder, { dtype: 'float32', device });
  const policy = copyModel(wide, dtype);
  const both = disposeAll([wide, policy]);
  return { policy, masters: new MasterWeights(wide, policy), [Symbol.dispose]: () => both[Symbol.dispose]() };
}

/** The answers that a recipe has the policy write at its evaluations, if any. */
async function generatedEvaluation<Row extends RowPlace>({
  recipe,
  objective,
  validation,
  tokenizer,
  modelFolder: folder,
  signal,
}: Pick<RunOptions<Row, LoggedRow>, 'recipe' | 'validation' | 'tokenizer' | 'modelFolder' | 'signal'> & {
  objective: { group(row: Row): Group };
}): Promise<GeneratedEvaluation | undefined> {
  const { generate: section } = recipe.evaluate;
  if (section === undefined) return undefined;
  return new GeneratedEvaluation({
    ...section,
    from: validation.map((row) => objective.group(row).prompt),
    tokenizer,
    stopTokens: await stopTokens(folder, tokenizer, recipe.data.chatTemplate),
    seed: recipe.seed,
    tokensPerMicroBatch: recipe.batch.tokensPerMicroBatch,
    signal,
  });
}

/** The plan of a recipe's steps on rows of sources. */
export function planOf({ batch, data, epochs, steps, seed }: Recipe, sources: readonly SourceShare[]): PlanOptions {
  const { size: batchSize, tokensPerMicroBatch, rowsPerMicroBatch } = batch;
  return { batchSize, tokensPerMicroBatch, rowsPerMicroBatch, epochs, steps, seed, shuffle: data.shuffle, sources };
}

function disposeAll<T extends Disposable>(items: readonly (T | undefined)[]): Disposable & { items: T[] } {
  const present = items.filter((item) => item !== undefined);
  return {
    items: present,
    [Symbol.dispose]: () => {
      for (const item of present) item[Symbol.dispose]();
    },
  };
}

/** `path`, or the nearest folder above it that is there: where a new folder will be made. */
function existingParent(path: string): string {
  let place = resolve(path);
  while (!existsSync(place)) place = dirname(place);
  return place;
}

/** What is known before the first step: sizes, updates of the reference, rows left out, warnings. */
function announce<Row extends RowPlace, Score extends LoggedRow>(
  options: RunOptions<Row, Score>,
  steps: number,
  rule: UpdateRule,
  emit: (event: NewRunEvent) => void,
): void {
  const { policy, rows, validation, report, objective } = options;
  const parameters = [...policy.parameters.values()].reduce((n, parameter) => n + parameter.numel, 0);
  const isPlanned = objective.needsReference && rule.update !== 'plateau';
  const referenceUpdates = isPlanned ? plannedUpdates(rule, steps).length : undefined;
  emit({
    type: 'start',
    steps,
    rows: rows.length,
    validationRows: validation.length,
    parameters,
    referenceUpdates,
  });
  for (const { byReason } of report.skips) {
    for (const [reason, places] of byReason) for (const place of places) emit({ type: 'skipped', reason, ...place });
  }
  for (const message of runWarnings(options, steps, rule)) emit({ type: 'warning', message });
}
