/** The studies of a folder, by the results that a sweep leaves. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { FormatError, UserError } from '../errors.js';
import { familyCurves } from '../eval/front/chart.js';
import { analyse } from '../eval/front/front.js';
import type { MeasuredRun } from '../eval/front/measured-run.js';
import { frontRuns, runsOfRows } from '../eval/front/read-runs.js';
import { summarise } from '../eval/front/settings.js';
import { asStudy, isStudyRow } from '../eval/front/study-rows.js';
import type { RunSummary, StudyEntry, StudyState } from './api.js';
import { type FileState, fileState } from './file-state.js';
import { type ServedFolder, studyFiles } from './served-folder.js';

/** Results of more bytes are not read: 100,000 measurements have fewer. */
const mostBytes = 1 << 26;

/** A study as its results tell it. */
interface Read {
  entry: StudyEntry;
  scores: string[];
  runs: MeasuredRun[];
}

interface Known extends FileState {
  read: Read | undefined;
  /** What was analysed, by the score. */
  analysed: Map<string, Omit<StudyState, 'runs'>>;
}

export class Studies {
  readonly #known = new Map<string, Known>();

  constructor(
    readonly folder: ServedFolder,
    readonly now: () => number,
  ) {}

  /**
   * The folders among `candidates` (paths by id) that hold the results of a sweep, the newest first; and notes of those
   * whose results cannot be read.
   */
  async list(candidates: ReadonlyMap<string, string>): Promise<{ studies: StudyEntry[]; notes: string[] }> {
    for (const id of this.#known.keys()) if (!candidates.has(id)) this.#known.delete(id);
    const studies: StudyEntry[] = [];
    const notes: string[] = [];
    for (const [id, path] of candidates) {
      try {
        const { read } = await this.#look(id, path);
        if (read) studies.push(read.entry);
      } catch (error) {
        if (!(error instanceof UserError || 'syscall' in (error as object))) throw error;
        notes.push(`not shown as a study: ${(error as Error).message}`);
      }
    }
    return { studies: studies.sort((a, b) => b.time.localeCompare(a.time)), notes };
  }

  /**
   * A study in one of its scores, the first when left out; `runs` are all those of the folder. Errors: UserError for
   * a score that it does not have, for results that are none of a sweep, or without a number to compare.
   */
  async state(id: string, path: string, quality: string | undefined, runs: readonly RunSummary[]): Promise<StudyState> {
    const known = await this.#look(id, path);
    if (!known.read) throw new UserError(`${join(path, studyFiles.results)} holds no results of a sweep`);
    const { scores } = known.read;
    const score = quality ?? scores[0]!;
    if (!scores.includes(score)) throw new UserError(`the study has no score ${score}; it has ${scores.join(', ')}`);
    const analysed = known.analysed.get(score) ?? analysisOf(known.read, score);
    known.analysed.set(score, analysed);
    return { ...analysed, runs: runsOf(id, runs) };
  }

  async #look(id: string, path: string): Promise<Known> {
    const files = [studyFiles.results, studyFiles.counts].map((name) => join(path, name));
    const stats = await Promise.all(files.map((file) => stat(file).catch(() => undefined)));
    const states = stats.map((one) => fileState(one, this.now()));
    const key = states.map((one) => one.key).join();
    const before = this.#known.get(id);
    if (before?.isSettled && before.key === key) return before;
    const read = await this.#read(id, path, stats[0]?.mtime ?? new Date(0));
    const isSettled = states.every((one) => one.isSettled);
    const fresh: Known = { key, isSettled, read, analysed: new Map() };
    this.#known.set(id, fresh);
    return fresh;
  }

  /** Errors: FormatError; undefined for rows that are not those of a sweep. */
  async #read(id: string, path: string, time: Date): Promise<Read | undefined> {
    const file = join(path, studyFiles.results);
    const rows = parsedRows(await this.folder.read(file, mostBytes), file);
    const first = (rows[0]?.value ?? {}) as Readonly<Record<string, unknown>>;
    if (!isStudyRow(first)) return undefined;
    const runs = asStudy(await runsOfRows(rows, studyFiles.results, file));
    const arms = [...new Set(runs.map(({ method }) => method))];
    const entry = { id, arms, done: runs.length, of: await this.#count(path), time: time.toISOString() };
    return { entry, scores: Object.keys(first.scores as object), runs };
  }

  /** The runs that the sweep says there will be. */
  async #count(path: string): Promise<number | undefined> {
    const text = await this.folder.read(join(path, studyFiles.counts), 1 << 16).catch(() => '{}');
    try {
      const { runs } = JSON.parse(text) as { runs?: unknown };
      return Number.isSafeInteger(runs) ? (runs as number) : undefined;
    } catch {
      return undefined;
    }
  }
}

function parsedRows(text: string, file: string) {
  const lines = text.split('\n').filter((line) => line !== '');
  return lines.map((line, i) => {
    try {
      return { where: i + 1, value: JSON.parse(line) as unknown };
    } catch (error) {
      throw new FormatError(`not JSON: ${(error as Error).message}`, { file, where: String(i + 1) });
    }
  });
}

function analysisOf({ entry, scores, runs }: Read, quality: string): Omit<StudyState, 'runs'> {
  const metrics = { kl: 'kl', quality };
  const { comparisons, tests, runs: measured } = analyse(runs, metrics);
  const settings = new Map<string, StudyState['settings'][number]>();
  for (const score of scores) {
    for (const { arm, seeds, end, best } of summarise(frontRuns(runs, { kl: 'kl', quality: score }))) {
      const setting = settings.get(arm) ?? { arm, seeds: seeds.length, scores: {} };
      setting.scores[score] = { end, best };
      settings.set(arm, setting);
    }
  }
  return {
    ...entry,
    scores,
    quality,
    settings: [...settings.values()],
    curves: familyCurves(measured),
    comparisons,
    tests,
  };
}

/** The runs and trained stages of a study, among all of the folder. */
function runsOf(id: string, runs: readonly RunSummary[]): StudyState['runs'] {
  const above = id === '.' ? '' : `${id}/`;
  const folders = [studyFiles.runs, studyFiles.stages].map((name) => `${above}${name}/`);
  return runs
    .filter((run) => folders.some((folder) => run.id.startsWith(folder)))
    .map(({ id, status, step, steps }) => ({ id, name: id.slice(above.length), status, step, steps }))
    .sort((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true }));
}
