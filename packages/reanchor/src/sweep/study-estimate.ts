/** What a study will take, before it is run and while it is: jobs, hours, disk. */
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readEvents, runFolder } from '../runs/index.js';
import { type JobCost, JobCosts } from './job-cost.js';
import { isDone } from './jobs.js';
import { type PlannedRun, type PlannedStage, Planner } from './plan.js';
import { settingsOf } from './settings.js';
import type { Study } from './study.js';

/** How many there are, and are done. */
interface Count {
  of: number;
  done: number;
}

export interface StudyEstimate {
  arms: number;
  settings: number;
  seeds: number;
  stages: Count;
  runs: Count;
  /** All of it, and what is not done; of the jobs that are known. */
  flops: { stages: number; runs: number; left: number };
  /** FLOPs a second of a process; undefined before any job that tells its time is done. */
  pace: { rate: number; jobs: number; of: 'runs' | 'stages' } | undefined;
  /** Hours of what is not done: at the pace, and at 1 TFLOP/s a process. */
  hours: { atPace: number | undefined; atTeraflop: number };
  /** Bytes when all is done, and what models take besides while the processes are at work. */
  bytes: { stages: number; runs: number; passing: number };
  /** What is not known of jobs, and why. */
  unknown: string[];
  /** What the numbers do not have in them. */
  notCounted: string[];
}

export interface StudyEstimateOptions {
  /** The folder of the sweep, in which jobs may be done. */
  out?: string | undefined;
  /** Processes at once. */
  jobs?: number | undefined;
}

/** A job, what it takes, and whether it is done. */
interface Entry {
  planned: PlannedStage | PlannedRun;
  cost: JobCost | string;
  isDone: boolean;
}

/**
 * Counts the jobs of a study and what they take, without libtorch; nothing is written. Hours come from the time of jobs
 * that are done; before that only FLOPs are known. Starting a process, a second or two a job, is in none of them.
 * Errors: RecipeError; UserError, FormatError of rows that are at hand.
 */
export async function estimateStudy(
  study: Study,
  { out, jobs = 1 }: StudyEstimateOptions = {},
): Promise<StudyEstimate> {
  const settings = settingsOf(study);
  // Without one no job is done: the place has a name that nothing has.
  const runs = await new Planner(study, out ?? join(tmpdir(), randomUUID())).runs(settings);
  const stages = stagesOf(runs);
  const costs = await JobCosts.of(stages);
  const entries: Entry[] = [];
  for (const planned of [...stages, ...runs]) {
    entries.push({ planned, cost: await costs.of(planned), isDone: await isDone(planned.job) });
  }
  const [ofStages, ofRuns] = [entries.slice(0, stages.length), entries.slice(stages.length)];
  const pace = paceOf(ofRuns, 'runs') ?? paceOf(ofStages, 'stages');
  const { total, longest } = leftOf(entries);
  const seconds = (rate: number) => Math.max(total / jobs, longest) / rate;
  const passing = entries.flatMap(({ cost, isDone }) => (isDone || !isKnown(cost) ? [] : [cost.passingBytes]));
  const count = (some: readonly Entry[]) => ({ of: some.length, done: some.filter(({ isDone }) => isDone).length });
  return {
    ...{ arms: Object.keys(study.arms).length, settings: settings.length, seeds: study.replicates.seeds.length },
    ...{ stages: count(ofStages), runs: count(ofRuns) },
    flops: { stages: sumOf(ofStages, 'flops'), runs: sumOf(ofRuns, 'flops'), left: total },
    pace,
    hours: { atPace: pace && seconds(pace.rate) / 3600, atTeraflop: seconds(1e12) / 3600 },
    bytes: {
      stages: sumOf(ofStages, 'bytes'),
      runs: sumOf(ofRuns, 'bytes'),
      passing: passing
        .sort((a, b) => b - a)
        .slice(0, jobs)
        .reduce((sum, bytes) => sum + bytes, 0),
    },
    unknown: [...new Set(entries.flatMap(({ planned, cost }) => (isKnown(cost) ? [] : [unknownText(planned, cost)])))],
    notCounted: [...new Set(entries.flatMap(({ cost }) => (isKnown(cost) ? cost.notCounted : [])))],
  };
}

const isKnown = (cost: JobCost | string): cost is JobCost => typeof cost !== 'string';

const unknownText = (planned: PlannedStage | PlannedRun, why: string) =>
  'setting' in planned ? `${planned.setting.arm} ${planned.setting.name}: ${why}` : `stage ${planned.name}: ${why}`;

const sumOf = (entries: readonly Entry[], what: 'flops' | 'bytes') =>
  entries.reduce((sum, { cost }) => sum + (isKnown(cost) ? cost[what] : 0), 0);

/** The stages that runs need, each once, those that it needs before it. */
function stagesOf(runs: readonly PlannedRun[]): PlannedStage[] {
  const stages = new Map<string, PlannedStage>();
  const add = (stage: PlannedStage) => {
    if (stages.has(stage.job.out)) return;
    for (const needed of stage.needs) add(needed);
    stages.set(stage.job.out, stage);
  };
  for (const run of runs) for (const stage of run.needs) add(stage);
  return [...stages.values()];
}

/** The FLOPs that are left, and those of the longest chain of jobs that wait for each other. */
function leftOf(entries: readonly Entry[]): { total: number; longest: number } {
  const left = new Map(
    entries.map(({ planned, cost, isDone }) => [planned.job.out, isDone || !isKnown(cost) ? 0 : cost.flops]),
  );
  const chains = new Map<string, number>();
  for (const { planned } of entries) {
    const before = Math.max(0, ...planned.needs.map(({ job }) => chains.get(job.out)!));
    chains.set(planned.job.out, before + left.get(planned.job.out)!);
  }
  return { total: [...left.values()].reduce((sum, flops) => sum + flops, 0), longest: Math.max(...chains.values()) };
}

/** The pace of the jobs that are done, of those that train. */
function paceOf(entries: readonly Entry[], of: 'runs' | 'stages'): StudyEstimate['pace'] {
  const timed = entries.flatMap(({ planned, cost, isDone }) => {
    const seconds = isDone && isKnown(cost) ? secondsOf(planned.job.out) : undefined;
    return seconds === undefined ? [] : [{ flops: (cost as JobCost).flops, seconds }];
  });
  const sum = (what: 'flops' | 'seconds') => timed.reduce((total, one) => total + one[what], 0);
  return timed.length === 0 ? undefined : { rate: sum('flops') / sum('seconds'), jobs: timed.length, of };
}

/** The seconds that a run took, those before it was resumed included. */
function secondsOf(out: string): number | undefined {
  const { events } = runFolder(out);
  if (!existsSync(events)) return undefined;
  const end = readEvents(events).events.findLast((event) => event.type === 'end');
  return end?.seconds;
}
