/** A run of a sweep: trained, measured all along, gone on with where it was cut off. */
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { train } from '../driver/index.js';
import { writeFileAtomic } from '../formats/index.js';
import type { Recipe } from '../recipe/index.js';
import { hasMadeSteps, listCheckpoints, type RunEvent, readEvents, runFolder } from '../runs/index.js';
import { type RunJob, type RunState, removeModels, runStateFile } from './jobs.js';
import { Measuring, measurementsOf } from './measure.js';

export interface WorkOptions {
  signal: AbortSignal;
  /** Hears the share that is done. */
  onProgress(share: number): void;
}

/** Makes or goes on with a run, and keeps what was measured of it. Errors: UserError; the signal's reason. */
export async function measuredRun(job: RunJob, options: WorkOptions): Promise<void> {
  const { out, recipe, digest } = job;
  using measuring = await Measuring.load(job, options.signal);
  const state = (rest: Omit<RunState, 'digest'> = {}) =>
    writeFileAtomic(runStateFile(out), `${JSON.stringify({ digest, ...rest })}\n`);
  await trainRun(recipe, out, options, (totalSteps) => ({
    every: job.measure.every,
    async measure(policy, step) {
      if (!existsSync(runStateFile(out))) await state();
      return await measuring.measure(policy, { step, isEnd: step === 0 || step === totalSteps() });
    },
  }));
  const gradNorms = readEvents(runFolder(out).events).events.flatMap((event): [number, number][] =>
    event.type === 'step' && event.metrics.grad_norm !== undefined ? [[event.step, event.metrics.grad_norm]] : [],
  );
  await state({ measurements: await measurementsOf(out, gradNorms) });
  await removeModels(job);
}

/**
 * Trains a recipe in a folder, or goes on from its newest checkpoint; what was cut off before its first one begins
 * anew. Errors: those of `train`; the signal's reason where it was stopped, with a checkpoint once steps were made.
 */
export async function trainRun(
  recipe: Recipe,
  out: string,
  { signal, onProgress }: WorkOptions,
  probe?: (totalSteps: () => number) => Parameters<typeof train>[0]['probe'],
): Promise<void> {
  const folder = runFolder(out);
  const isCutOff = existsSync(join(out, 'run.json')) && !existsSync(folder.final);
  if (isCutOff && listCheckpoints(folder.checkpoints).length === 0 && (await hasMadeSteps(folder))) {
    await rm(out, { recursive: true });
  }
  let steps = 0;
  const onEvent = (event: RunEvent) => {
    if (event.type === 'start' || event.type === 'resumed') steps = event.steps;
    if (event.type === 'step') onProgress(event.step / steps);
  };
  const { isFinished } = await train({ recipe, out, resume: true, onEvent, signal, probe: probe?.(() => steps) });
  if (!isFinished) throw signal.reason;
}
