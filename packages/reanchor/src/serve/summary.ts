import { join } from 'node:path';
import { parseRun, type RunInfo } from '../runs/index.js';
import type { RunStatus, RunSummary } from './api.js';
import type { RunSeries } from './run-series.js';
import type { ServedFolder } from './served-folder.js';

const mostRunJson = 4 << 20;
/** Silence after which a run without an end counts as stopped, besides twenty times the time between its events. */
const silenceMs = 10 * 60_000;

interface Described {
  info: RunInfo | undefined;
  /** What is wrong with run.json. */
  problem: string | undefined;
}

/** What run.json of a run folder says, or what is wrong with it. */
export async function readInfo(folder: ServedFolder, runPath: string): Promise<Described> {
  const file = join(runPath, 'run.json');
  try {
    return { info: parseRun(await folder.read(file, mostRunJson), file), problem: undefined };
  } catch (error) {
    return { info: undefined, problem: (error as Error).message };
  }
}

/** A run in a line, from its run.json and (a sketch of) its events. */
export function summarize(id: string, { info, problem }: Described, series: RunSeries, now: number): RunSummary {
  const { log, steps, evaluations } = series;
  const metrics = steps.lastValues();
  const metric = 'rewards/margins' in metrics ? 'rewards/margins' : 'loss';
  const points = steps.points({ width: steps.pointWidth(60), only: metric });
  return {
    id,
    status: statusOf(series, info, now),
    method: info ? methodName(info) : '',
    reference: info ? referenceName(info) : '',
    model: info?.recipe.model ?? '',
    started: info?.time,
    lastEvent: series.scanner.time,
    step: log.end?.steps ?? Math.max(0, steps.lastStep),
    steps: log.start?.steps,
    metrics: finite(metrics),
    evaluation: finite(evaluations.lastValues()),
    sparkline: { metric, steps: points.steps, values: points.metrics[metric]?.mean ?? [] },
    problem,
  };
}

function statusOf({ log, scanner, steps }: RunSeries, info: RunInfo | undefined, now: number): RunStatus {
  if (log.end) return log.start && log.end.steps < log.start.steps ? 'interrupted' : 'finished';
  if (log.failed) return 'failed';
  const last = Date.parse(scanner.time || (info?.time ?? ''));
  const between = steps.lastStep > 0 && info ? (last - Date.parse(info.time)) / steps.lastStep : 0;
  return now - last <= Math.max(silenceMs, 20 * between) ? 'running' : 'stopped';
}

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
