/** The life of a run: it is opened, makes its steps, and is closed. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '../clock.js';
import { unlessStopped } from '../planning/unless-stopped.js';
import { checkpointName, fileSizes, parseRun, writeStopped } from '../runs/index.js';
import { announce } from './announce.js';
import { bestOf, Checkpointer } from './checkpointer.js';
import { explainFault } from './faults.js';
import { finalModel } from './final-weights.js';
import { RunLoop } from './loop.js';
import { RollbackRequest } from './non-finite-steps.js';
import {
  loadAnchors,
  newTrainer,
  type OpenRun,
  openEvaluations,
  type RunOptions,
  runState,
  stoppedBy,
  writeCheckpoint,
} from './open-run.js';
import type { TrainOptions, TrainResult } from './options.js';
import { StepProfiler } from './profiler.js';
import { RunRecord } from './record.js';
import { ReferenceLog } from './reference-log.js';
import { resumeHint } from './resume-hint.js';
import { RunawayWatch } from './runaway.js';
import { saveMerged, saveOrRescue } from './save-trained.js';
import { SavingTurns } from './saving-turns.js';
import { snapshotBytes } from './snapshot.js';
import type { StepListener } from './step-listener.js';
import { stopElsewhere } from './stop-elsewhere.js';

/**
 * The life of a run in its folder, from its beginning or a checkpoint: it is opened, makes its steps and is closed.
 * Whatever ends it is in its events.
 */
export async function run(options: RunOptions): Promise<TrainResult> {
  const { recipe, from, stop, onEvent, clock } = options;
  const { signal } = stop;
  using anchors = await loadAnchors(options);
  await unlessStopped(options.signal);
  const folder = await options.openFolder();
  const resumedAt = from?.checkpoint.state.step;
  await using record = new RunRecord(folder, recipe, { onEvent, resumedAt, clock });
  const seconds = stopwatch(from?.checkpoint.state.seconds);
  let steps = () => resumedAt ?? 0;
  try {
    const emit = record.emit.bind(record);
    announce(options, emit);
    using evaluations = await openEvaluations(options, anchors.reference, emit);
    using trainer = newTrainer(options, anchors);
    const state = await runState(options, { ...anchors, evaluations, trainer, emit });
    const opened: OpenRun = { ...state, options, record, seconds };
    steps = () => trainer.steps;
    const stoppedAt = await makeSteps(opened);
    return await closeRun(opened, stoppedAt);
  } catch (error) {
    if (!(error instanceof RollbackRequest)) {
      const told = explainFault(error, options, folder);
      await recordFailure(record, { error, told, signal, steps: steps(), seconds: seconds() });
    }
    throw error;
  }
}

/**
 * Makes the steps that are left and saves the model; returns the checkpoint that was written if it was aborted before.
 */
async function makeSteps(opened: OpenRun): Promise<string | undefined> {
  const { options, record, trainer } = opened;
  const { plan, recipe, weights, stop } = options;
  const { folder } = record;
  const emit = record.emit.bind(record);
  const write = (path: string, options?: { isSeenByAll: boolean }) => writeCheckpoint(opened, path, options);
  const checkpoints = new Checkpointer({
    folder: folder.checkpoints,
    options: recipe.checkpoint,
    evaluations: opened.evaluations.results,
    write,
    warn: (message) => emit({ type: 'warning', message }),
    clock: options.clock ?? systemClock,
  });
  const turns = new SavingTurns(options.mesh.shard, weights.isSharded, async () => {});
  const listeners = [...listenersOf(opened, checkpoints), turns];
  const hooks = {
    emit,
    endsEarly: () => opened.evaluations.endsEarly !== undefined,
    heard: () => record.heard(),
    checkFiles: () => record.check(),
  };
  try {
    const stoppedAt = await new RunLoop({ ...opened, ...hooks, plan, listeners, checkpoints, stop }).run();
    if (stoppedAt !== undefined) {
      await turns.take();
      return stoppedAt;
    }
    record.check();
    using trained = await finalModel(opened);
    const stopped = trained.stopped && { step: trainer.steps, message: trained.stopped };
    if (stopped) emit({ type: 'stopped', ...stopped });
    await saveOrRescue(folder.final, trained);
    if (recipe.save.merged) await saveMerged(join(folder.path, 'merged'), trained);
    await writeStopped(folder.path, parseRun(record.info, 'run.json'), stopped || undefined);
    emit({ type: 'saved', folder: folder.final, files: fileSizes(folder.final) });
    record.check();
    await turns.take();
    return undefined;
  } catch (error) {
    const bytes = snapshotBytes(plan, weights);
    throw await stopElsewhere(error, { record, command: options.command, steps: trainer.steps, bytes, write });
  }
}

/** What follows the steps of a run, in this order. The sinks and a status line hear the events that these write. */
function listenersOf(opened: OpenRun, checkpoints: Checkpointer) {
  const { options, record, reference, log, evaluations, runaway } = opened;
  const { recipe, profile, command } = options;
  const emit = record.emit.bind(record);
  const warn = (message: string) => emit({ type: 'warning', message });
  const listeners: (StepListener | undefined)[] = [
    profile === undefined ? undefined : new StepProfiler(profile, warn),
    reference && new ReferenceLog(recipe.reference, reference, emit),
    log,
    evaluations,
    checkpoints,
    new RunawayWatch(runaway, {
      mode: recipe.onRunaway,
      warn,
      // Beside the others: none of them, which are from before, is deleted for it.
      save: async (step) => {
        const path = join(record.folder.checkpoints, checkpointName(step));
        if (!existsSync(path)) await writeCheckpoint(opened, path);
      },
      resumeHint: resumeHint(command),
    }),
  ];
  return listeners.filter((listener) => listener !== undefined);
}

async function closeRun(
  { options, record, trainer, evaluations, seconds }: OpenRun,
  stoppedAt: string | undefined,
): Promise<TrainResult> {
  const { folder } = record;
  const isFinished = stoppedAt === undefined;
  await record.close(isFinished ? 'finished' : 'interrupted');
  record.emit({ type: 'end', steps: trainer.steps, seconds: seconds() });
  await record.heard();
  return {
    folder: folder.path,
    final: stoppedAt ?? folder.final,
    isFinished,
    steps: trainer.steps,
    evaluations: evaluations.results,
    ...(isFinished && { stopped: stoppedBy({ options, trainer, evaluations }) }),
    best: bestOf(options.recipe, folder, evaluations.results),
  };
}

interface Failure extends Pick<TrainOptions, 'signal'> {
  error: unknown;
  /** The same in words for the user. */
  told: unknown;
  /** The optimizer steps taken. */
  steps: number;
  seconds: number;
}

/** Writes down that a run has failed, or that it was stopped before there was something to save. */
async function recordFailure(record: RunRecord, { error, told, signal, steps, seconds }: Failure): Promise<void> {
  try {
    if (signal?.aborted && error === signal.reason) {
      await record.close('interrupted');
      record.emit({ type: 'end', steps, seconds });
    } else {
      record.emit({ type: 'failed', step: steps, message: told instanceof Error ? told.message : String(told) });
    }
  } catch {
    // The disk may be full, which is then also the error itself.
  }
}

/** A clock that shows `seconds` now. */
function stopwatch(seconds = 0): () => number {
  const started = performance.now() - 1000 * seconds;
  return () => (performance.now() - started) / 1000;
}
