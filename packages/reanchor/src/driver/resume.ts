/** From a run folder to the point from which its run goes on. */
import { type Device, getNumThreads, nativeConfig } from '@reanchor/torch';
import { UserError } from '../errors.js';
import { requireSameSources } from '../planning/digests.js';
import { concealing, type Recipe, recipeChanges, recipeHash, seesMicroBatches } from '../recipe/index.js';
import {
  type Checkpoint,
  checkpointName,
  completeEvents,
  finalState,
  hasMadeSteps,
  isUnusedFolder,
  listCheckpoints,
  lockRun,
  newestCheckpoint,
  type RunFolder,
  readRun,
  removeTemporary,
  setAside,
  settleReplacements,
  supersedeEvents,
  type TrainingState,
  writeStopped,
} from '../runs/index.js';
import { bestOf } from './checkpointer.js';
import type { RollbackRequest } from './non-finite-steps.js';
import type { CheckedOptions, TrainResult } from './options.js';
import { resumeFlag } from './resume-hint.js';

/** What a run goes on from. */
export interface ResumePoint {
  checkpoint: Checkpoint;
  /** Recipe keys that are not what they were, with both values. */
  changes: string[];
  /** What is to be said about it. */
  warnings: string[];
}

/** A run folder that this process alone writes into. */
export interface LockedRun {
  folder: RunFolder;
  lock: Disposable;
  /** Undefined for a run that begins. */
  from: ResumePoint | undefined;
  /** What is to be said of what was found there, where the run begins. */
  notes: string[];
}

/**
 * The run in a folder, locked, and the point from which it goes on; or what it has come to, when it is finished. One
 * that was stopped before its first step, or before its folder was made, begins anew. Errors: UserError for a folder
 * with something else in it, a run without a checkpoint, a changed recipe, a run that another process is busy with; the
 * signal's reason once it is aborted.
 */
export async function reopenRun({
  out: path,
  recipe,
  command,
  signal,
}: Pick<CheckedOptions, 'out' | 'recipe' | 'command' | 'signal'>): Promise<
  LockedRun | { finished: TrainResult } | undefined
> {
  if (isUnusedFolder(path)) return undefined;
  const { run, folder } = readRun(path);
  const changes = recipeChanges(run.recipe, recipe, path);
  const lock = lockRun(path);
  try {
    const final = await finalState(folder);
    if (final === 'whole') {
      const { steps, evaluations, stopped } = await completeEvents(folder, concealing(recipe));
      // It may have been cut off between the two.
      if (stopped !== undefined) await writeStopped(path, run, { step: steps, message: stopped });
      lock[Symbol.dispose]();
      const best = bestOf(recipe, folder, evaluations);
      return { finished: { folder: path, final: folder.final, isFinished: true, steps, evaluations, best, stopped } };
    }
    if (listCheckpoints(folder.checkpoints).length === 0 && !(await hasMadeSteps(folder))) {
      await removeTemporary(folder.path);
      const notes = await asideNotes(folder, final, 'begins anew');
      await supersedeEvents(folder, { bytes: 0, step: 0 });
      return { folder, lock, from: undefined, notes };
    }
    const from = await findResumePoint(folder, { command, hash: recipeHash(run.recipe), signal }).catch(
      (error: unknown) => {
        if (signal?.aborted) throw error;
        throw error instanceof UserError && typeof final === 'object' ? withFlaw(folder, final.flaw, error) : error;
      },
    );
    from.warnings.push(...(await asideNotes(folder, final, `goes on from ${checkpointName(from.checkpoint.step)}`)));
    from.changes.push(...changes.map(({ text }) => text));
    if (changes.some(({ changesRounding }) => changesRounding)) {
      from.warnings.push(
        'a changed key rounds sums otherwise: the last digits will not be those of an uninterrupted run',
      );
    }
    return { folder, lock, from, notes: [] };
  } catch (error) {
    lock[Symbol.dispose]();
    throw error;
  }
}

/** Takes a `final/` that is not whole out of the way; returns what is to be said of it. Errors: UserError. */
async function asideNotes(
  { final: path }: RunFolder,
  state: Awaited<ReturnType<typeof finalState>>,
  next: string,
): Promise<string[]> {
  if (typeof state === 'string') return [];
  const aside = await setAside({ path });
  return [`the model in ${path} is not whole (${state.flaw}); it is now ${aside}, and the run ${next}`];
}

const withFlaw = ({ final }: RunFolder, flaw: string, error: UserError) =>
  new UserError(`the model in ${final} is not whole (${flaw}): bring its files back. Otherwise: ${error.message}`, {
    cause: error,
  });

interface ResumePointOptions extends Pick<CheckedOptions, 'command' | 'signal'> {
  /** Of the recipe of the run. */
  hash?: string | undefined;
  rollback?: RollbackRequest | undefined;
}

/**
 * The newest checkpoint that is whole; damaged ones are set aside, and events after it superseded. Errors: UserError
 * where there is none.
 */
export async function findResumePoint(
  folder: RunFolder,
  { command, hash, rollback, signal }: ResumePointOptions,
): Promise<ResumePoint> {
  await removeTemporary(folder.path);
  await removeTemporary(folder.checkpoints);
  await settleReplacements(folder.checkpoints);
  const { checkpoint, damaged } = await newestCheckpoint(folder.checkpoints, signal);
  if (checkpoint === undefined) throw noCheckpoint(folder, damaged, { command, rollback });
  const { state } = checkpoint;
  if (hash !== undefined && state.recipe !== hash) {
    throw new UserError(`${checkpoint.path} belongs to a run with another recipe than that of ${folder.path}/run.json`);
  }
  const warnings: string[] = [];
  for (const one of damaged) {
    const aside = await setAside(one);
    warnings.push(
      `the checkpoint ${checkpointName(one.step)} is damaged (${one.why}); it is now ${aside}, and the run goes on from ${checkpointName(state.step)}`,
    );
  }
  const missing = await supersedeEvents(folder, { bytes: state.eventBytes, step: state.step });
  if (missing > 0)
    warnings.push(`events.jsonl lacks ${missing} bytes that were there at ${checkpointName(state.step)}`);
  if (rollback) {
    state.divergences = { ...state.divergences, ...rollback.remembered };
    warnings.push(
      `${rollback.message}. The run is back at step ${state.step} (onDivergence: rollback, time ${rollback.remembered.rollbacks}) and will leave out step ${rollback.step}`,
    );
  }
  return { checkpoint, changes: [], warnings };
}

function noCheckpoint(
  folder: RunFolder,
  damaged: readonly { path: string; why: string }[],
  { command, rollback }: Pick<ResumePointOptions, 'command' | 'rollback'>,
): UserError {
  const before = rollback ? `${rollback.message}. ` : '';
  if (damaged.length > 0) {
    const list = damaged.map(({ why }) => `  ${why}`);
    const anew = `bring the files back, or start the run anew, without ${resumeFlag(command)} and in another folder`;
    return new UserError([`${before}no checkpoint of ${folder.path} is whole:`, ...list, anew].join('\n'));
  }
  const next = rollback
    ? 'lower checkpoint.every, so that there is one in time'
    : `start the run anew, without ${resumeFlag(command)} and in another folder; checkpoint.every in the recipe writes checkpoints on the way`;
  return new UserError(
    `${before}${folder.path} holds a run that was cut off before its first checkpoint (${listCheckpoints(folder.checkpoints).length} in ${folder.checkpoints}): ${next}`,
  );
}

/**
 * Makes sure that a run goes on with the models and rows it began with, and in as many processes where its losses go by
 * micro-batches. Returns what is to be said when its bits may be others than those of an uninterrupted one. Errors:
 * UserError that names what has changed.
 */
export function requireSameRun(
  { sources, torch, threads, device = 'cpu', processes = 1 }: TrainingState,
  start: { recipe: Recipe; sources: Readonly<Record<string, string>>; out: string; device: Device; processes: number },
): string[] {
  requireSameSources(sources, start.sources, start.out);
  const found: string[] = [];
  if (start.processes !== processes) {
    if (seesMicroBatches(start.recipe)) {
      throw new UserError(
        `the run in ${start.out} was made by ${processes} ${processes === 1 ? 'process' : 'processes'} and cannot go on with ${start.processes}: its loss goes by micro-batches (loss.over or loss.partners), which would be cut otherwise`,
      );
    }
    found.push(`the number of processes is ${start.processes} and was ${processes}`);
  }
  const now = { torch: nativeConfig().compiledFor, threads: getNumThreads() };
  if (now.torch !== torch) found.push(`libtorch is ${now.torch} and was ${torch}`);
  if (start.device !== device) found.push(`the device is ${start.device} and was ${device}`);
  if (now.threads !== threads) found.push(`operators use ${now.threads} threads and used ${threads}`);
  if (found.length === 0) return [];
  return [`${found.join(', and ')}: the last digits may not be those of an uninterrupted run`];
}
