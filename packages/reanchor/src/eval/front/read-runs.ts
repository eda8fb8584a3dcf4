/** The points of a front, from run folders or files of results. */
import { statSync } from 'node:fs';
import { FormatError, type FormatPlace, UserError } from '../../errors.js';
import { type RawRecord, readRecords } from '../../formats/index.js';
import { nearest } from '../../recipe/index.js';
import { readEvents, readRun } from '../../runs/index.js';
import type { NamedFile } from '../answer-sets.js';
import { type ArmNames, armNames, type RunSettings, settingsOf } from './arms.js';
import type { FrontPoint } from './curves.js';
import type { MeasuredRow, MeasuredRun } from './measured-run.js';
import { asStudy, isStudyRow, studyRow } from './study-rows.js';

export interface FrontMetrics {
  /** The metric that is the KL, such as `kl/initial`. */
  kl: string;
  /** The one that is the quality, such as `rewards/accuracies`. */
  quality: string;
}

/** A run, its names, and its evaluations in the order of steps. */
export interface FrontRun extends ArmNames, Omit<RunSettings, 'keys'> {
  name: string;
  /** Of a run of a study, its folder below that of the study. */
  folder?: string | undefined;
  points: FrontPoint[];
  /** False for a run of a study whose last measurement gave no finite number: what it came to is unknown. */
  hasEnd: boolean;
}

/**
 * The runs of run folders, by their evaluations, and of files of results: JSONL, JSON lists or Parquet with rows
 * `{method, base?, beta?, seed?, run?, step?}` and metrics as further numbers; rows of equal method, beta, seed and run
 * are one run. Its seed is `seed`, else `run`, else the name of the file. A study's `results.jsonl` has other rows
 * ({@link studyRow}); its scores are metrics by their names, and `kl` is its KL. Errors: UserError for what cannot be
 * read; FormatError, also for a step that a run has twice: two runs are mixed there.
 */
export async function readRuns(given: readonly NamedFile[]): Promise<MeasuredRun[]> {
  const runs: MeasuredRun[] = [];
  for (const { name, file } of given) {
    const isFolder = statSync(file, { throwIfNoEntry: false })?.isDirectory() ?? false;
    runs.push(...(isFolder ? [ofFolder(name, file)] : await runsOfRows(readRecords(file), name, file)));
  }
  return [...runs.filter(({ isOfStudy }) => !isOfStudy), ...asStudy(runs.filter(({ isOfStudy }) => isOfStudy))];
}

/** The points of runs in two metrics. Errors: UserError for a metric that a run lacks, with those it has. */
export function frontRuns(runs: readonly MeasuredRun[], metrics: FrontMetrics): FrontRun[] {
  const names = armNames(runs);
  return runs.map(({ evaluations, keys, isOfStudy, ...run }, i) => {
    const inOrder = evaluations.toSorted((a, b) => a.step - b.step);
    const points = inOrder
      .filter(({ metrics: found }) => found[metrics.kl] !== undefined && found[metrics.quality] !== undefined)
      .map(({ step, metrics: found }) => ({ step, kl: found[metrics.kl]!, quality: found[metrics.quality]! }))
      .filter(({ kl, quality }) => Number.isFinite(kl) && Number.isFinite(quality));
    if (points.length === 0) throw missing(run.name, evaluations, metrics);
    const hasEnd = !isOfStudy || points.at(-1)!.step === inOrder.at(-1)!.step;
    return { ...run, ...names[i]!, points, hasEnd };
  });
}

function missing(run: string, evaluations: MeasuredRun['evaluations'], { kl, quality }: FrontMetrics): UserError {
  const there = [...new Set(evaluations.flatMap(({ metrics }) => Object.keys(metrics)))].sort();
  if (there.length === 0) return new UserError(`${run} has no evaluation: set data.validation or evaluate.generate`);
  const list = `it has ${there.join(', ')}`;
  for (const [name, metric] of Object.entries({ kl, quality })) {
    if (there.includes(metric)) continue;
    const near = nearest(metric, there);
    return new UserError(
      (option) =>
        `${option(name)}: no evaluation of ${run} has ${metric}${near ? `; did you mean ${near}?` : ''}; ${list}`,
    );
  }
  return new UserError(`no evaluation of ${run} has both ${kl} and ${quality}, as numbers; ${list}`);
}

function ofFolder(name: string, path: string): MeasuredRun {
  const { run, folder } = readRun(path);
  const { events } = readEvents(folder.events);
  const evaluations = events.flatMap((event) =>
    event.type === 'evaluation' ? [{ step: event.step, metrics: withTies(event.step, event.metrics) }] : [],
  );
  return { name, ...settingsOf(run.recipe), isOfStudy: false, evaluations };
}

/** Before the first step all rewards are equal, which is an accuracy of 1/2; runs were written that say 0. */
function withTies(step: number, metrics: MeasuredRun['evaluations'][number]['metrics']) {
  return step > 0 || metrics['rewards/accuracies'] === undefined ? metrics : { ...metrics, 'rewards/accuracies': 0.5 };
}

type Row = Pick<RawRecord, 'where' | 'value'>;

/**
 * The runs of the rows of a file; `file` is its name. Those of a study are named by {@link asStudy} when all are there.
 * Errors: as {@link readRuns}.
 */
export async function runsOfRows(
  rows: AsyncIterable<Row> | Iterable<Row>,
  file: string,
  path: string,
): Promise<MeasuredRun[]> {
  const runs = new Map<string, MeasuredRun>();
  for await (const { where, value } of rows) {
    const row = (value ?? {}) as Readonly<Record<string, unknown>>;
    const place = { file: path, where: String(where) };
    const { settings, step, metrics } = isStudyRow(row) ? studyRow(row, file, place) : runRow(row, file, place);
    const run = JSON.stringify([settings.name, settings.beta, settings.seed]);
    const known = runs.get(run) ?? { ...settings, evaluations: [] };
    if (known.evaluations.some((one) => one.step === step)) {
      const apart = 'give rows their "step", and runs of equal method and beta a "seed" or a "run"';
      throw new FormatError(
        `a second row of step ${step} of ${known.name}${settings.isOfStudy ? '' : `: ${apart}`}`,
        place,
      );
    }
    known.evaluations.push({ step, metrics });
    runs.set(run, known);
  }
  if (runs.size === 0) throw new UserError(`${path} has no rows: name a run folder, or a file of results`);
  return [...runs.values()];
}

function runRow(row: Readonly<Record<string, unknown>>, file: string, place: FormatPlace): MeasuredRow {
  const { method, base = method, beta, run = '', seed = run === '' ? file : run, step = 0 } = row;
  if (typeof method !== 'string' || typeof base !== 'string' || typeof step !== 'number') {
    const shape = '{"method": text, "beta": number, "seed": number, "step": number, "kl/initial": number, ...}';
    throw new FormatError(`not a result: a row is ${shape}`, place);
  }
  const words = [beta === undefined ? '' : `beta ${beta}`, row.seed === undefined ? '' : `seed ${seed}`, run];
  const numbers = Object.entries(row).filter((entry): entry is [string, number] => typeof entry[1] === 'number');
  return {
    settings: {
      name: [file, method, ...words].filter(Boolean).join(' '),
      ...{ method, base, beta: typeof beta === 'number' ? beta : undefined, seed: String(seed) },
      ...{ keys: undefined, isOfStudy: false },
    },
    step,
    metrics: Object.fromEntries(numbers.filter(([name]) => !['step', 'beta', 'seed', 'run'].includes(name))),
  };
}
