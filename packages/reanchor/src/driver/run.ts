import { join } from 'node:path';
import { systemClock } from '../clock.js';
import { copyModel } from '../models/architectures.js';
import { loadModel } from '../models/load.js';
import { AdamW, learningRates } from '../optim/index.js';
import type { Plan } from '../planning/plan.js';
import { plannedReference } from '../planning/reference.js';
import { unlessStopped } from '../planning/unless-stopped.js';
import { recipeHash } from '../recipe/index.js';
import { savedReference } from '../reference/copied-reference.js';
import {
  type Checkpoint,
  checkpointFiles,
  checkpointName,
  fileSizes,
  type NewRunEvent,
  type RunFolder,
} from '../runs/index.js';
import type { Tokenizer } from '../text/index.js';
import { Trainer } from '../train/trainer.js';
import type { Weights } from '../weights/weights.js';
import { announce } from './announce.js';
import { bestOf, Checkpointer } from './checkpointer.js';
import { RunEvaluations } from './evaluations.js';
import { explainFault } from './faults.js';
import { RunLoop } from './loop.js';
import type { ModelFiles } from './model-files.js';
import { RollbackRequest, RunDivergences } from './non-finite-steps.js';
import { StepProfiler } from './profiler.js';
import { RunRecord } from './record.js';
import { saveOrRescue } from './save-trained.js';
import { restoreSnapshot, snapshotBytes, writeSnapshot } from './snapshot.js';
import { StepLog } from './step-log.js';
import { stopElsewhere } from './stop-elsewhere.js';
import type { TrainOptions, TrainResult } from './train.js';

/** What a run goes on from. */
export interface ResumePoint {
  checkpoint: Checkpoint;
  /** Recipe keys that are not what they were, with both values. */
  changes: string[];
  /** What is to be said about it. */
  warnings: string[];
}

export interface RunOptions extends TrainOptions {
  /** Makes the run folder, or gives the one that is there. */
  open(): Promise<RunFolder>;
  from: ResumePoint | undefined;
  /** Whether the run was stopped before its first step, once. */
  beginsAgain: boolean;
  plan: Plan;
  /** The policy's. */
  weights: Weights;
  tokenizer: Tokenizer;
  /** The folders of the model that is trained, and of the reference's first model where that is another one. */
  modelFolder: string;
  initialFolder: string | undefined;
  /** What is saved beside the weights. */
  modelFiles: ModelFiles;
  commits: Record<string, string>;
  /** Digests of what the run reads: see `sourceDigests`. */
  sources: Readonly<Record<string, string>>;
}

/** A run from its folder, or a checkpoint in it, to the saved model. Whatever ends it is told in its events. */
export async function run(options: RunOptions): Promise<TrainResult> {
  const { recipe, from, onEvent, clock } = options;
  using anchors = await anchorsOf(options);
  await unlessStopped(options.signal);
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
async function anchorsOf({ plan, weights, from, initialFolder }: RunOptions) {
  const { device } = weights.model;
  const loadInitial = async () =>
    initialFolder === undefined ? undefined : await loadModel(initialFolder, { dtype: plan.dtypes.reference, device });
  const initial = from
    ? await savedReference(
        from.checkpoint.state.reference,
        join(from.checkpoint.path, checkpointFiles.reference),
        device,
        loadInitial,
      )
    : await loadInitial();
  const { reference, initialPolicy } = plannedReference(plan, { weights, initial });
  return { reference, initialPolicy, ...disposeAll([reference, initialPolicy]) };
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

async function toTheEnd(
  options: RunOptions,
  { reference, initialPolicy, folder, record, told }: Begun,
): Promise<TrainResult> {
  const { recipe, plan, weights, tokenizer, from, signal, probe } = options;
  const { model: policy } = weights;
  const { objective, rows, validation, totalSteps } = plan;
  const { seconds } = told;
  const state = from?.checkpoint.state;
  const { dtype, device } = policy;
  const emit = record.emit.bind(record);
  if (from === undefined) announce(plan, policy, emit);
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
    ...{ plan, weights, reference, initial: initialPolicy },
    optimizer: new AdamW(weights.trained.values(), recipe.optimizer),
    schedule: learningRates(recipe.schedule, recipe.optimizer.lr, totalSteps),
  });
  const stateful = { trainer, reference, initialPolicy, log: new StepLog(recipe.logEvery, device) };
  if (from !== undefined) await restoreSnapshot(from.checkpoint, stateful);

  const divergences = new RunDivergences(recipe.onDivergence, rows, state?.divergences);
  const warn = (message: string) => emit({ type: 'warning', message });
  const profiler = options.profile === undefined ? undefined : new StepProfiler(options.profile, warn);
  const parts = { plan, evaluations, divergences, profiler, signal, emit };
  const watch = () => record.check();
  const loop = new RunLoop({ ...stateful, ...parts, watch }, state?.isEvaluationDue ?? false);
  const trained = () => ({
    ...{
      weights,
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
    record.check();
    await writeSnapshot(path, stateful, trained(), {
      isEvaluationDue: loop.isEvaluationDue,
      eventBytes: record.sync(),
      recipe: recipeHash(recipe),
      sources: options.sources,
      seconds: seconds(),
      evaluations: evaluations.results,
      initialLogprobs: evaluations.initialLogprobs,
      divergences: divergences.state(),
    });
    const { checkpoints } = record.folder;
    emit({ type: 'checkpoint', step: trainer.steps, folder: join(checkpoints, checkpointName(trainer.steps)) });
  };
  const place = { folder: folder.checkpoints, options: recipe.checkpoint };
  const checkpoints = new Checkpointer({ ...place, write, warn, clock: options.clock ?? systemClock });

  const toTheLastStep = async () => {
    const stoppedAt = await loop.go(checkpoints);
    if (stoppedAt !== undefined) return stoppedAt;
    record.check();
    await saveOrRescue(folder.final, trained());
    emit({ type: 'saved', folder: folder.final, files: fileSizes(folder.final) });
    record.check();
    return undefined;
  };
  const interrupted = await toTheLastStep()
    .catch(async (error: unknown) => {
      const bytes = snapshotBytes(plan, weights);
      throw await stopElsewhere(error, { record, steps: trainer.steps, bytes, write });
    })
    .finally(() => {
      told.steps = trainer.steps;
    });
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
function clockOf({ from }: Pick<RunOptions, 'from'>): () => number {
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
