/** All runs and results of a folder, kept up to date at little cost, however large they are. */
import { stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { UserError } from '../errors.js';
import type { Result, RunList, RunSeriesData, RunState, RunSummary, StudyState } from './api.js';
import { type FileState, fileState } from './file-state.js';
import { ResultFiles } from './result-files.js';
import { RunFile, type Skim } from './run-file.js';
import type { RunSeries } from './run-series.js';
import type { Found, ServedFolder } from './served-folder.js';
import { Studies } from './studies.js';
import { Summaries } from './summaries.js';
import { type Described, type ProcessState, processState, readInfo, summarize } from './summary.js';

/** Runs whose series are kept in memory: each takes up to some megabytes. */
const mostOpen = 40;
/** What is read of a run for a page whose file is not read yet. */
const pageSkim: Skim = { samples: 960, buckets: 1024 };

export class Library {
  readonly #summaries: Summaries;
  /** In the order of their last use. */
  readonly #open = new Map<string, RunFile>();
  readonly #described = new WeakMap<RunFile, FileState & { described: Described }>();
  readonly #results: ResultFiles;
  readonly #studies: Studies;
  #found: Found | undefined;
  #finding: Promise<Found> | undefined;
  #listing: Promise<RunList> | undefined;

  constructor(
    readonly folder: ServedFolder,
    readonly now: () => number = Date.now,
  ) {
    this.#results = new ResultFiles(folder);
    this.#studies = new Studies(folder, now);
    this.#summaries = new Summaries(folder, now);
  }

  /** All runs, newest first; calls at the same time share one look, and a run that is the same the object. */
  list(): Promise<RunList> {
    this.#listing ??= this.#list().finally(() => {
      this.#listing = undefined;
    });
    return this.#listing;
  }

  async #list(): Promise<RunList> {
    const found = await this.#find();
    const [runs, results, { studies, notes }] = await Promise.all([
      this.#summaries.of(found.runs),
      this.#results.list(found.results),
      this.#studies.list(found.studies),
    ]);
    return { folder: this.folder.name, runs, notes: [...found.notes, ...notes], results, studies };
  }

  /** The file of a run. Errors: UserError for an id that is none. */
  async file(id: string): Promise<RunFile> {
    const path = await this.#pathOf(id);
    const file = this.#open.get(id) ?? new RunFile(this.folder, path, { now: this.now });
    this.#open.delete(id);
    this.#open.set(id, file);
    for (const [oldest] of this.#open) {
      if (this.#open.size <= mostOpen) break;
      this.#open.delete(oldest);
    }
    return file;
  }

  /** Whether a run's process is there; to be asked before its events are read. */
  processOf({ runPath }: RunFile): Promise<ProcessState> {
    return processState(this.folder, runPath);
  }

  /** What run.json says; the same object as long as the file is the same. */
  async describe(file: RunFile): Promise<Described> {
    const stats = await stat(join(file.runPath, 'run.json')).catch(() => undefined);
    const state = fileState(stats, this.now());
    const known = this.#described.get(file);
    if (known?.isSettled && known.key === state.key) return known.described;
    const read = await readInfo(this.folder, file.runPath);
    const isSame = JSON.stringify(read) === JSON.stringify(known?.described);
    const described = isSame ? known!.described : read;
    this.#described.set(file, { ...state, described });
    return described;
  }

  /** Those of a run that are whole, oldest first. */
  async checkpoints({ runPath }: RunFile): Promise<RunState['checkpoints']> {
    // Those that are being written, and damaged ones, have longer names.
    const found = (await this.folder.folders(join(runPath, 'checkpoints'))).filter((path) =>
      /^step-\d+$/.test(basename(path)),
    );
    const timed = found.map(async (path) => {
      // One that is no longer kept may be gone by now.
      const state = await stat(path).catch(() => undefined);
      return state ? [{ name: basename(path), time: state.mtime.toISOString() }] : [];
    });
    return (await Promise.all(timed)).flat().sort((a, b) => a.name.localeCompare(b.name));
  }

  /** A run in a line, by what its files say. */
  summaryOf(id: string, file: RunFile, described: Described, process: ProcessState, series: RunSeries): RunSummary {
    return summarize(id, { ...described, unread: file.problem, process, series, now: this.now() });
  }

  /** Some of a run's events, soon, however many there are. */
  async sketch({ runPath }: RunFile): Promise<RunSeries> {
    const skimmed = new RunFile(this.folder, runPath, { skim: pageSkim, now: this.now });
    await skimmed.refresh();
    return skimmed.series;
  }

  /** The series of some steps of a run, in as much detail as fits. */
  async zoom(id: string, from: number, to: number): Promise<RunSeriesData> {
    const file = await this.file(id);
    await file.refresh();
    return seriesData(await file.part(from, to));
  }

  /** A study in one of its scores, the first when left out. Errors: UserError for an id or a score that is none. */
  async study(id: string, quality: string | undefined): Promise<StudyState> {
    const { runs } = await this.list();
    const path = this.#found!.studies.get(id);
    if (path === undefined) throw new UserError(`no study is named ${JSON.stringify(id)}`);
    return this.#studies.state(id, path, quality, runs);
  }

  /** A file of results. Errors: UserError for an id that is none, or a file that is no longer one. */
  async result(id: string): Promise<Result> {
    const path = this.#found?.results.get(id) ?? (await this.#find()).results.get(id);
    if (path === undefined) throw new UserError(`no file of results is named ${JSON.stringify(id)}`);
    return this.#results.read(path);
  }

  async #pathOf(id: string): Promise<string> {
    const path = this.#found?.runs.get(id) ?? (await this.#find()).runs.get(id);
    if (path === undefined) throw new UserError(`no run is named ${JSON.stringify(id)}`);
    return path;
  }

  /** Calls at the same time share one look. */
  #find(): Promise<Found> {
    this.#finding ??= this.folder
      .find()
      .then((found) => {
        this.#found = found;
        return found;
      })
      .finally(() => {
        this.#finding = undefined;
      });
    return this.#finding;
  }
}

/** A run's series as the page gets them; `from` gives the last steps that it has, to get what is new. */
export function seriesData(
  series: RunSeries,
  from: { steps?: number | undefined; evaluations?: number | undefined } = {},
): RunSeriesData {
  return {
    steps: series.steps.points({ from: from.steps }),
    evaluations: series.evaluations.points({ from: from.evaluations }),
    updates: series.marks().filter(({ step }) => step >= (from.steps ?? 0)),
    updateCount: series.updates.lines,
  };
}
