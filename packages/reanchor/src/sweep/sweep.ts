/** Runs what a study asks for, as far as it has not been done. */
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { lockHolder } from '@reanchor/torch/host';
import { type Clock, systemClock, timeLimit } from '../clock.js';
import { UsageError, UserError } from '../errors.js';
import { writeError } from '../formats/index.js';
import { lockRun, removeTemporary } from '../runs/index.js';
import { isDone, makeRoom, removeModels, workersFolder } from './jobs.js';
import { type PlannedJob, type PlannedRun, Planner } from './plan.js';
import { type Failure, type PoolState, runJobs } from './pool.js';
import { type ResultRow, resultRows, writeResults, writeUnlessSame } from './results.js';
import { settingsOf } from './settings.js';
import type { Study } from './study.js';
import { unknownName } from './study-problems.js';

export interface SweepOptions {
  study: Study;
  /** The folder of the sweep; what is done in it is not done again. */
  out: string;
  /** Processes at once, and the CPU threads of each. */
  jobs?: number | undefined;
  threads?: number | undefined;
  /** The one arm that is run. */
  only?: string | undefined;
  /** After so many hours nothing is started, and what runs ends with a checkpoint. */
  hours?: number | undefined;
  onChange?: ((state: PoolState) => void) | undefined;
  /** Hears what the sweep waits for. */
  onNote?: ((note: string) => void) | undefined;
  signal?: AbortSignal | undefined;
  clock?: Clock | undefined;
}

export interface SweepResult {
  /** All of results.jsonl. */
  rows: ResultRow[];
  /** The jobs that failed, and why. */
  failed: Failure[];
  /** Runs that were asked for and are not done. */
  left: number;
  /** Jobs that were done. */
  made: number;
  /** Runs of other settings than the study has now, which were moved there. */
  moved: string[];
}

/**
 * Runs a study in a folder: stages/, runs/ARM/SETTING/seed-N/, results.jsonl. Whatever was cut off goes on where it
 * was, to the same results. Errors: RecipeError, UserError before anything is run; a job that fails ends no other.
 */
export async function sweep(options: SweepOptions): Promise<SweepResult> {
  const { study, out, jobs = 1, threads = 1, only, hours, clock = systemClock, signal } = options;
  if (only !== undefined && !(only in study.arms)) {
    throw new UsageError(
      (option) => `${option('only')} ${only}: ${unknownName(only, Object.keys(study.arms), 'the arms are')}`,
    );
  }
  const settings = settingsOf(study);
  const runs = await new Planner(study, out).runs(settings);
  try {
    for (const name of [workersFolder, 'stages']) await mkdir(join(out, name), { recursive: true });
  } catch (error) {
    throw writeError(out, error);
  }
  using _lock = lockRun(out);
  await awaitWorkers(join(out, workersFolder), { clock, onNote: options.onNote });
  await removeTemporary(join(out, 'stages'));
  // How many there are to be, for whoever looks at the folder.
  await writeUnlessSame(join(out, 'study.json'), `${JSON.stringify({ runs: runs.length })}\n`);
  const wanted = runs.filter(({ setting }) => only === undefined || setting.arm === only);
  const moved: string[] = [];
  for (const { job } of wanted) {
    const aside = await makeRoom(job);
    if (aside !== undefined) moved.push(aside);
  }
  const pending = await pendingJobs(wanted);
  const ends = [signal ?? new AbortController().signal];
  using limit = hours === undefined ? undefined : timeLimit(clock, hours * 3_600_000, 'the hours are over');
  if (limit) ends.push(limit.signal);
  const results = async () => {
    const rows = await resultRows(runs);
    await writeResults(join(out, 'results.jsonl'), rows);
    return rows;
  };
  const failed = await runJobs(pending, {
    ...{ out, jobs, threads, signal: AbortSignal.any(ends) },
    onChange: (state) => options.onChange?.(state),
    onDone: async ({ job }) => {
      if (job.kind === 'run') await results();
    },
  });
  const rows = await results();
  const notDone = await pendingJobs(wanted);
  const left = notDone.filter(({ job }) => job.kind === 'run').length;
  return { rows, failed, left, made: pending.length - notDone.length, moved };
}

/** The runs that are not done, each after the stages that it needs and that are not done. */
async function pendingJobs(runs: readonly PlannedRun[]): Promise<PlannedJob[]> {
  const pending = new Map<string, PlannedJob>();
  const add = async (planned: PlannedJob): Promise<void> => {
    if (pending.has(planned.job.out)) return;
    if (await isDone(planned.job)) {
      if (planned.job.kind === 'run') await removeModels(planned.job);
      return;
    }
    for (const stage of planned.needs) await add(stage);
    pending.set(planned.job.out, planned);
  };
  for (const run of runs) await add(run);
  return [...pending.values()];
}

/** So long the processes of a sweep that was cut off can take to end: a step, and a checkpoint. */
const longestEndMs = 600_000;

/** Waits until no process of an earlier call is at work in the folder. Errors: UserError. */
async function awaitWorkers(folder: string, { clock, onNote }: { clock: Clock; onNote: SweepOptions['onNote'] }) {
  const begun = clock.now();
  for (const name of readdirSync(folder)) {
    const file = join(folder, name);
    let isTold = false;
    for (let held = lockHolder(file); held?.state === 'running'; held = lockHolder(file)) {
      const who = `process ${held.holder?.pid} of an earlier call`;
      if (clock.now() - begun > longestEndMs) throw new UserError(`${who} is still at work: wait for it, or end it`);
      if (!isTold) onNote?.(`${who} is still at work; it ends after its step`);
      isTold = true;
      await clock.sleep(50);
    }
    if (existsSync(file)) rmSync(file);
  }
}
