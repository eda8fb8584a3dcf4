import { join } from 'node:path';
import { groupTokens, type PlanOptions, planSteps, type RowPlace, stepCount } from '../data/index.js';
import { copyModel } from '../models/architectures.js';
import type { CausalLM } from '../models/causal-lm.js';
import { loadModel } from '../models/load.js';
import type { UpdateRule } from '../reference/update-rule.js';
import { type Checkpoint, checkpointName, type NewRunEvent, type RunFolder, recipeHash } from '../runs/index.js';
import type { Tokenizer } from '../text/tokenizer.js';
import { announce } from './announce.js';
import { checkpointReference, restoreCheckpoint, writeCheckpoint } from './checkpoint.js';
import { Checkpointer } from './checkpointer.js';
import type { MasterWeights } from './master-weights.js';
import type { ModelFiles } from './model-files.js';
import type { LoggedRow, Objective } from './objectives/objective.js';
import { StepProfiler } from './profiler.js';
import type { DataReport } from './recipe-data.js';
import { referenceDType } from './recipe-dtypes.js';
import { recipeReference, recipeRule } from './recipe-reference.js';
import { RollbackRequest, RunDivergences } from './run-divergences.js';
import { RunEvaluations } from './run-evaluations.js';
import { RunLoop } from './run-loop.js';
import { RunRecord } from './run-record.js';
import { saveOrRescue } from './save-trained.js';
import { rowsDigest } from './source-digests.js';
import { StepLog } from './step-log.js';
import type { TrainOptions, TrainResult } from './train.js';
import { Trainer } from './trainer.js';

/** What a run goes on from. */
export interface ResumePoint {
  checkpoint: Checkpoint;
  /** Recipe keys that are not what they were, with both values. */
  changes: string[];
  /** What is to be said about it. */
  warnings: string[];
}

export interface RunOptions<Row, Score extends LoggedRow> extends TrainOptions {
  /** Makes the run folder, or gives the one that is there. */
  open(): Promise<RunFolder>;
  from: ResumePoint | undefined;
  policy: CausalLM;
  /** The policy's float32 weights, where it computes in half precision. */
  masters: MasterWeights | undefined;
  objective: Objective<Row, Score>;
  rows: readonly Row[];
  validation: readonly Row[];
  plan: PlanOptions;
  tokenizer: Tokenizer;
  /** The folders of the model that is trained, and of the reference's first model where that is another one. */
  modelFolder: string;
  initialFolder: string | undefined;
  /** What is saved beside the weights. */
  modelFiles: ModelFiles;
  commits: Record<string, string>;
  /** Digests of the models' files. */
  models: Readonly<Record<string, string>>;
  report: DataReport;
}

/** A run on rows of one kind, from its folder, or a checkpoint in it, to the saved model. */
export async function run<Row extends RowPlace, Score extends LoggedRow>(
  options: RunOptions<Row, Score>,
): Promise<TrainResult> {
  const { recipe, policy, masters, tokenizer, objective, rows, validation, plan, from, signal, probe } = options;
  const state = from?.checkpoint.state;
  const started = performance.now() - 1000 * (state?.seconds ?? 0);
  const totalSteps = stepCount(rows.length, plan);
  const rule: UpdateRule = objective.needsReference ? recipeRule(recipe.reference, totalSteps) : { update: 'fixed' };
  const { dtype, device } = policy;
  const referenceForm = { dtype: referenceDType(recipe), device };
  const loadInitial = async () =>
    options.initialFolder === undefined ? undefined : await loadModel(options.initialFolder, referenceForm);
  const lengths = rows.map((row) => groupTokens(objective.group(row)));
  const initial = from ? await checkpointReference(from.checkpoint, device, loadInitial) : await loadInitial();
  const upcoming = function* (step: number) {
    for (const planned of planSteps(lengths, plan, step)) yield objective.layOut(planned, rows);
  };
  const { reference, initialPolicy } = objective.needsReference
    ? recipeReference(recipe.reference, {
        ...{ policy, rule, totalSteps, upcoming, initial },
        ...{ masters: masters?.model, dtype: referenceForm.dtype },
      })
    : { reference: undefined, initialPolicy: undefined };
  using _anchors = disposeAll([reference, initialPolicy]);

  const folder = await options.open();
  await using record = new RunRecord(folder, recipe, { onEvent: options.onEvent, resumedAt: state?.step });
  const emit = record.emit.bind(record);
  if (from === undefined) announce(options, totalSteps, rule, emit);
  else tellResumed(from, totalSteps, emit);
  using evaluations = await RunEvaluations.of({
    ...{ recipe, objective, validation, policy, tokenizer, totalSteps, probe, signal, emit },
    modelFolder: options.modelFolder,
    earlier: state,
    initialPolicy: async () => (from ? loadModel(options.modelFolder, { dtype, device }) : copyModel(policy)),
  });
  if (from === undefined) await evaluations.after(0, reference);
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
  const stateful = { trainer, reference, initialPolicy, log: new StepLog(recipe.logEvery, device) };
  if (from !== undefined) await restoreCheckpoint(from.checkpoint, stateful);

  const divergences = new RunDivergences(recipe.onDivergence, rows, state?.divergences);
  const warn = (message: string) => emit({ type: 'warning', message });
  const profiler = options.profile === undefined ? undefined : new StepProfiler(options.profile, warn);
  const material = { recipe, objective, rows, lengths, plan, evaluations, divergences, profiler, signal, emit };
  const loop = new RunLoop({ ...stateful, ...material }, state?.isEvaluationDue ?? false);
  const seconds = () => (performance.now() - started) / 1000;
  const trained = () => ({
    ...{
      policy: masters?.model ?? policy,
      recipe,
      totalSteps,
      modelFiles: options.modelFiles,
      commits: options.commits,
    },
    steps: trainer.steps,
    updates: reference?.version ?? 0,
    evaluations: evaluations.results,
  });
  const sources = once(() => state?.sources ?? sourceDigests(options));
  const checkpoints = new Checkpointer(folder.checkpoints, recipe.checkpoint, async (path) => {
    await writeCheckpoint(path, stateful, trained(), {
      isEvaluationDue: loop.isEvaluationDue,
      eventBytes: record.sync(),
      recipe: recipeHash(recipe),
      sources: sources(),
      seconds: seconds(),
      evaluations: evaluations.results,
      initialLogprobs: evaluations.initialLogprobs,
      divergences: divergences.state(),
    });
    emit({ type: 'checkpoint', step: trainer.steps, folder: join(folder.checkpoints, checkpointName(trainer.steps)) });
  });

  const interrupted = await loop.go(checkpoints).catch((error: unknown) => {
    if (!(error instanceof RollbackRequest)) tellFailure(error, trainer.steps, emit);
    throw error;
  });
  if (interrupted === undefined) {
    await saveOrRescue(folder.final, trained());
    emit({ type: 'saved', folder: folder.final });
  }
  await record.close(interrupted === undefined ? 'finished' : 'interrupted');
  emit({ type: 'end', steps: trainer.steps, seconds: seconds() });
  return {
    folder: folder.path,
    final: interrupted ?? folder.final,
    isFinished: interrupted === undefined,
    steps: trainer.steps,
    evaluations: evaluations.results,
  };
}

/** What the run reads, as digests by the keys of the recipe. */
export function sourceDigests({
  models,
  rows,
  validation,
}: Pick<RunOptions<object, LoggedRow>, 'models' | 'rows' | 'validation'>): Record<string, string> {
  return { ...models, 'data.train': rowsDigest(rows), 'data.validation': rowsDigest(validation) };
}

function tellResumed(
  { checkpoint, changes, warnings }: ResumePoint,
  steps: number,
  emit: (event: NewRunEvent) => void,
): void {
  const { step, path } = checkpoint;
  // The one that stood there was written after the moment that the checkpoint remembers.
  emit({ type: 'checkpoint', step, folder: path });
  emit({ type: 'resumed', step, steps, ...(changes.length > 0 && { changes }) });
  for (const message of warnings) emit({ type: 'warning', message });
}

function tellFailure(error: unknown, step: number, emit: (event: NewRunEvent) => void): void {
  try {
    emit({ type: 'failed', step, message: error instanceof Error ? error.message : String(error) });
  } catch {
    // Of a full disk, say: the error itself matters more.
  }
}

function once<T>(make: () => T): () => T {
  let made: { value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}

function disposeAll(items: readonly (Disposable | undefined)[]): Disposable {
  return {
    [Symbol.dispose]: () => {
      for (const item of items) item?.[Symbol.dispose]();
    },
  };
}
