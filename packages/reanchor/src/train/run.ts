import { join } from 'node:path';
import { systemClock } from '../clock.js';
import { groupTokens, type PlanOptions, planSteps, type RowPlace, stepCount } from '../data/index.js';
import { copyModel } from '../models/architectures.js';
import type { CausalLM } from '../models/causal-lm.js';
import { loadModel } from '../models/load.js';
import type { UpdateRule } from '../reference/update-rule.js';
import { type Checkpoint, checkpointName, type NewRunEvent, type RunFolder, recipeHash } from '../runs/index.js';
import type { Tokenizer } from '../text/tokenizer.js';
import { announce } from './announce.js';
import { checkpointReference, restoreCheckpoint, writeCheckpoint } from './checkpoint.js';
import { bestOf, Checkpointer } from './checkpointer.js';
import { explainFault } from './faults.js';
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
  /** Whether the run was stopped before its first step, once. */
  beginsAgain: boolean;
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
  /** Digests of what the run reads: see `sourceDigests`. */
  sources: Readonly<Record<string, string>>;
  report: DataReport;
}

/**
 * A run on rows of one kind, from its folder, or a checkpoint in it, to the saved model. Whatever ends it is told in
 * its events.
 */
export async function run<Row extends RowPlace, Score extends LoggedRow>(
  options: RunOptions<Row, Score>,
): Promise<TrainResult> {
  const { recipe, from, onEvent, clock } = options;
  using anchors = await anchorsOf(options);
  const folder = await options.open();
  const resumedAt = from?.checkpoint.state.step;
  await using record = new RunRecord(folder, recipe, { onEvent, resumedAt, clock });
  const told = { steps: resumedAt ?? 0, seconds: clockOf(options) };
  try {
    return await toTheEnd(options, { ...anchors, folder, record, told });
  } catch (error) {
    if (!(error instanceof RollbackRequest)) await tellEnd(error, options, folder, record, told);
    throw error;
  }
}

/** The reference policy of a run and the initial one, as far as it needs them, before the folder is made. */
async function anchorsOf<Row extends RowPlace, Score extends LoggedRow>(options: RunOptions<Row, Score>) {
  const { recipe, policy, masters, objective, rows, plan, from } = options;
  const totalSteps = stepCount(rows.length, plan);
  const rule: UpdateRule = objective.needsReference ? recipeRule(recipe.reference, totalSteps) : { update: 'fixed' };
  const form = { dtype: referenceDType(recipe), device: policy.device };
  const loadInitial = async () =>
    options.initialFolder === undefined ? undefined : await loadModel(options.initialFolder, form);
  const lengths = rows.map((row) => groupTokens(objective.group(row)));
  const initial = from ? await checkpointReference(from.checkpoint, policy.device, loadInitial) : await loadInitial();
  const upcoming = function* (step: number) {
    for (const planned of planSteps(lengths, plan, step)) yield objective.layOut(planned, rows);
  };
  const { reference, initialPolicy } = objective.needsReference
    ? recipeReference(recipe.reference, {
        ...{ policy, rule, totalSteps, upcoming, initial },
        ...{ masters: masters?.model, dtype: form.dtype },
      })
    : { reference: undefined, initialPolicy: undefined };
  return { totalSteps, rule, lengths, reference, initialPolicy, ...disposeAll([reference, initialPolicy]) };
}

interface Begun extends Awaited<ReturnType<typeof anchorsOf>> {
  folder: RunFolder;
  record: RunRecord;
  /** What an end before the last step has to tell. */
  told: Told;
}

/** The optimizer steps taken, and the seconds of training so far. */
interface Told {
  steps: number;
  seconds: () => number;
}

async function toTheEnd<Row extends RowPlace, Score extends LoggedRow>(
  options: RunOptions<Row, Score>,
  { totalSteps, rule, lengths, reference, initialPolicy, folder, record, told }: Begun,
): Promise<TrainResult> {
  const { recipe, policy, masters, tokenizer, objective, rows, validation, plan, from, signal, probe } = options;
  const { seconds } = told;
  const state = from?.checkpoint.state;
  const { dtype, device } = policy;
  const emit = record.emit.bind(record);
  if (from === undefined) announce(options, totalSteps, rule, emit);
  else tellResumed(from, totalSteps, emit);
  if (options.beginsAgain) emit({ type: 'resumed', step: 0, steps: totalSteps });
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
  const write = async (path: string) => {
    await writeCheckpoint(path, stateful, trained(), {
      isEvaluationDue: loop.isEvaluationDue,
      eventBytes: record.sync(),
      recipe: recipeHash(recipe),
      sources: options.sources,
      seconds: seconds(),
      evaluations: evaluations.results,
      initialLogprobs: evaluations.initialLogprobs,
      divergences: divergences.state(),
    });
    emit({ type: 'checkpoint', step: trainer.steps, folder: join(folder.checkpoints, checkpointName(trainer.steps)) });
  };
  const place = { folder: folder.checkpoints, options: recipe.checkpoint };
  const checkpoints = new Checkpointer({ ...place, write, warn, clock: options.clock ?? systemClock });

  const interrupted = await loop.go(checkpoints).finally(() => {
    told.steps = trainer.steps;
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
    best: bestOf(recipe, folder, evaluations.results),
  };
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

/**
 * That a run has ended before its last step: why it failed, or that it was stopped before there was something to
 * save.
 */
async function tellEnd(
  error: unknown,
  { recipe, signal }: Pick<TrainOptions, 'recipe' | 'signal'>,
  folder: RunFolder,
  record: RunRecord,
  { steps, seconds }: Told,
): Promise<void> {
  const isStopped = signal?.aborted === true && error === signal.reason;
  const told = explainFault(error, recipe, folder);
  try {
    if (isStopped) await record.close('interrupted');
    record.emit(
      isStopped
        ? { type: 'end', steps, seconds: seconds() }
        : { type: 'failed', step: steps, message: told instanceof Error ? told.message : String(told) },
    );
  } catch {
    // Of a full disk, say: the error itself matters more.
  }
}

/** Seconds of training, those before a resume included. */
function clockOf({ from }: Pick<RunOptions<object, LoggedRow>, 'from'>): () => number {
  const started = performance.now() - 1000 * (from?.checkpoint.state.seconds ?? 0);
  return () => (performance.now() - started) / 1000;
}

function disposeAll(items: readonly (Disposable | undefined)[]): Disposable {
  return {
    [Symbol.dispose]: () => {
      for (const item of items) item?.[Symbol.dispose]();
    },
  };
}
