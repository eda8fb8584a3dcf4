import { join } from 'node:path';
import { lockHolderState, lockName, parseRun, type RunInfo } from '../runs/index.js';
import type { RunStatus, RunSummary } from './api.js';
import type { RunSeries } from './run-series.js';
import type { ServedFolder } from './served-folder.js';

const [mostRunJson, mostLock] = [4 << 20, 4096];
/**
 * Silence after which a run without an end counts as stopped, where its process cannot be seen, besides twenty times
 * the time between its events.
 */
const silenceMs = 10 * 60_000;

/** Whether a process holds a run; unknown of one that cannot be seen from here. */
export type ProcessState = 'running' | 'gone' | 'unknown';

/** What run.json of a run folder says, or what is wrong with it. */
export interface Described {
  info: RunInfo | undefined;
  problem: string | undefined;
}

export async function readInfo(folder: ServedFolder, runPath: string): Promise<Described> {
  const file = join(runPath, 'run.json');
  try {
    return { info: parseRun(await folder.read(file, mostRunJson), file), problem: undefined };
  } catch (error) {
    return { info: undefined, problem: (error as Error).message };
  }
}

/**
 * The state of the process that writes into a run folder, which holds its lock as long as it lives. To be asked
 * before the events are read: one that is gone writes no more of them.
 */
export async function processState(folder: ServedFolder, runPath: string): Promise<ProcessState> {
  try {
    return lockHolderState(await folder.read(join(runPath, lockName), mostLock));
  } catch {
    return 'gone';
  }
}

export interface Summarized extends Described {
  process: ProcessState;
  /** Of all events or a skim of them. */
  series: RunSeries;
  /** Why the events, or the last of them, cannot be read. */
  unread: string | undefined;
  /** Milliseconds since 1970. */
  now: number;
}

/** A run in a line. */
export function summarize(id: string, run: Summarized): RunSummary {
  const { info, problem, series, unread } = run;
  const { log, steps, evaluations } = series;
  const metrics = steps.lastValues('line');
  const metric = steps.has('rewards/margins') ? 'rewards/margins' : 'loss';
  const points = steps.points({ width: steps.pointWidth(60), only: metric });
  return {
    id,
    status: statusOf(run),
    method: info ? methodName(info) : '',
    reference: info ? referenceName(info) : '',
    model: info?.recipe.model ?? '',
    started: info?.time,
    lastEvent: series.scanner.time,
    step: log.end?.steps ?? Math.max(0, steps.lastStep, evaluations.lastStep),
    steps: log.start?.steps,
    metrics: finite(metrics),
    evaluation: finite(evaluations.lastValues()),
    sparkline: { metric, steps: points.steps, values: points.metrics[metric]?.mean ?? [] },
    problem: problem ?? unread,
    failure: log.failed && firstSentence(log.failed.message),
  };
}

/** By what its events say and whether its process is there. */
export function statusOf({
  info,
  process,
  series: { log, scanner, steps },
  now,
}: Omit<Summarized, 'unread'>): RunStatus {
  if (log.end) return log.start && log.end.steps < log.start.steps && !log.stopped ? 'interrupted' : 'finished';
  if (log.failed) return 'failed';
  if (process !== 'unknown') return process === 'running' ? 'running' : 'stopped';
  const last = Date.parse(scanner.time || (info?.time ?? ''));
  const between = steps.lastStep > 0 && info ? (last - Date.parse(info.time)) / steps.lastStep : 0;
  return now - last <= Math.max(silenceMs, 20 * between) ? 'running' : 'stopped';
}

/** The beginning of a message, up to the end of its first sentence or line; of a long one, its first words. */
function firstSentence(message: string): string {
  const [sentence] = /^.*?[.!?](?=\s|$)|^.*/.exec(message.trim())!;
  return sentence.length > longestFailure ? `${sentence.slice(0, longestFailure - 1)}…` : sentence;
}
const longestFailure = 240;

function methodName({ recipe: { method, reference } }: RunInfo): string {
  return `${method !== 'sft' && reference.update !== 'fixed' ? 'TR-' : ''}${method.toUpperCase()}`;
}

function referenceName({ recipe: { method, reference } }: RunInfo): string {
  if (method === 'sft') return 'none';
  const options = [
    'alpha' in reference && `α ${reference.alpha}`,
    'tau' in reference && `τ ${reference.tau}`,
    reference.storage === 'cached' && 'cached',
  ].filter(Boolean);
  return [reference.update, ...options].join(', ');
}

const finite = (values: Record<string, number>) =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [name, Number.isFinite(value) ? value : null]));
