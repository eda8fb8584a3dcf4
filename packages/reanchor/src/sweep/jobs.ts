/** The jobs of a sweep: each is done by a process of its own, and what it leaves says whether it is done. */
import { existsSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { readJson, writeError } from '../formats/index.js';
import type { Recipe } from '../recipe/index.js';
import { finalState, runFolder } from '../runs/index.js';
import type { StageValues, StudyValues } from './study-schema.js';

interface TrainJob {
  kind: 'train';
  recipe: Recipe;
  /** The folder to be made, as in every job. */
  out: string;
}

export interface CorpusJob {
  kind: 'corpus';
  corpus: NonNullable<StageValues['corpus']>;
  out: string;
}

export interface InitJob extends NonNullable<StageValues['init']> {
  kind: 'init';
  out: string;
}

export interface SampleJob extends NonNullable<StageValues['sample']> {
  kind: 'sample';
  out: string;
}

export interface LabelJob extends NonNullable<StageValues['label']> {
  kind: 'label';
  out: string;
}

/** A run of a setting, measured while it trains. */
export interface RunJob {
  kind: 'run';
  recipe: Recipe;
  out: string;
  /** Of all that decides its numbers. */
  digest: string;
  measure: StudyValues['measure'];
  save: StudyValues['save'];
}

export type Job = CorpusJob | InitJob | TrainJob | SampleJob | LabelJob | RunJob;

/** What a worker is told, as one line of JSON. */
export interface Order {
  job: Job;
  /** The folder that paths are relative to. */
  cwd: string;
  /** The folder of the sweep. */
  sweep: string;
  threads: number;
  /** The process that gave it: a worker without it does nothing. */
  parent: number;
}

/** What a worker tells, each as a line of JSON: the share that is done, or why it failed. */
export type Report = { progress: number } | { error: string };

/** Where the processes of a sweep say that they run, below its folder. */
export const workersFolder = 'workers';

/** Exit code of a worker that was told to end before its job was done. */
export const stoppedCode = 3;

/** What was measured of a run after a step. */
export interface Measurement {
  step: number;
  scores: Record<string, Estimate>;
  /** The log-ratio to the initial model of an answer, nats. */
  kl: Estimate;
  /** The share of different bigrams of tokens over all answers. */
  distinct2: number | null;
  /** Before clipping, of the last logged step; null before the first. */
  grad_norm: number | null;
}

/** A mean and its standard error; null where there is none, or it is no number. */
export interface Estimate {
  mean: number | null;
  se: number | null;
}

/** What a sweep keeps of a run, in its folder. */
export interface RunState {
  digest: string;
  /** Once the run is done. */
  measurements?: Measurement[];
}

export const runStateFile = (out: string) => join(out, 'sweep.json');

export async function readRunState(out: string): Promise<RunState | undefined> {
  const file = runStateFile(out);
  return existsSync(file) ? ((await readJson(file)) as RunState) : undefined;
}

/** The file or folder that a stage makes, and `${stages.NAME}` stands for. */
export function outputOf({ kind, out }: Pick<Job, 'kind' | 'out'>): string {
  switch (kind) {
    case 'corpus':
      return join(out, 'texts.jsonl');
    case 'init':
      return out;
    case 'sample':
      return join(out, 'answers.jsonl');
    case 'label':
      return join(out, 'pairs.jsonl');
    default:
      return runFolder(out).final;
  }
}

/** Whether a job has been done. */
export async function isDone(job: Job): Promise<boolean> {
  if (job.kind === 'train') return (await finalState(runFolder(job.out))) === 'whole';
  if (job.kind !== 'run') return existsSync(outputOf(job));
  const state = await readRunState(job.out);
  return state?.digest === job.digest && state.measurements !== undefined;
}

/**
 * Makes room for a run where one of other settings is, which is kept under its digest and comes back with them. Returns
 * where that is now. Errors: UserError.
 */
export async function makeRoom({ out, digest }: RunJob): Promise<string | undefined> {
  const asideOf = (one: string) => `${out}-${one.slice(0, 8)}`;
  const state = await readRunState(out);
  const aside = state === undefined || state.digest === digest ? undefined : asideOf(state.digest);
  try {
    if (aside !== undefined) await rename(out, aside);
    if (!existsSync(out) && existsSync(asideOf(digest))) await rename(asideOf(digest), out);
  } catch (error) {
    throw writeError(out, error);
  }
  return aside;
}

/** Removes the models of a run that is done, as far as the study does not keep them. */
export async function removeModels({ out, save }: RunJob): Promise<void> {
  const { checkpoints, final } = runFolder(out);
  const removed = { none: [checkpoints, final], ends: [checkpoints], all: [] }[save];
  for (const folder of removed) if (existsSync(folder)) await rm(folder, { recursive: true });
}
