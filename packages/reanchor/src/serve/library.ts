/** All runs and results of a folder, kept up to date at little cost, however large they are. */
import { stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { UserError } from '../errors.js';
import { lockName } from '../runs/index.js';
import type { Result, RunList, RunSeriesData, RunState, RunSummary } from './api.js';
import { ResultFiles } from './result-files.js';
import { RunFile, type Skim } from './run-file.js';
import type { RunSeries } from './run-series.js';
import type { Found, ServedFolder } from './served-folder.js';
import { type Described, type ProcessState, processState, readInfo, summarize } from './summary.js';

/** Runs whose series are kept in memory: each takes up to some megabytes. */
const mostOpen = 40;
/** What is read of a file for the list, and for a page whose file is not read yet. */
const [listSkim, pageSkim]: [Skim, Skim] = [
  { samples: 96, buckets: 128 },
  { samples: 960, buckets: 1024 },
];
/** Runs that are looked at at once. */
const atOnce = 16;

export class Library {
  readonly #summaries = new Map<string, { key: string; summary: RunSummary; file: RunFile }>();
  /** In the order of their last use. */
  readonly #open = new Map<string, RunFile>();
  readonly #results: ResultFiles;
  #found: Found | undefined;
  #listing: Promise<RunList> | undefined;

  constructor(
    readonly folder: ServedFolder,
    readonly now: () => number = Date.now,
  ) {
    this.#results = new ResultFiles(folder);
  }

  /** All runs, newest first; calls at the same time share one look. */
  list(): Promise<RunList> {
    this.#listing ??= this.#list().finally(() => {
      this.#listing = undefined;
    });
    return this.#listing;
  }

  async #list(): Promise<RunList> {
    const found = await this.folder.find();
    this.#found = found;
    const entries = [...found.runs];
    const runs: RunSummary[] = [];
    const work = async () => {
      for (let entry = entries.pop(); entry; entry = entries.pop()) runs.push(await this.#summary(...entry));
    };
    const [results] = await Promise.all([this.#results.list(found.results), ...Array.from({ length: atOnce }, work)]);
    runs.sort((a, b) => (b.started ?? '').localeCompare(a.started ?? '') || a.id.localeCompare(b.id));
    for (const id of this.#summaries.keys()) if (!found.runs.has(id)) this.#summaries.delete(id);
    return { folder: this.folder.name, runs, notes: found.notes, results };
  }

  /** The file of a run. Errors: UserError for an id that is none. */
  async file(id: string): Promise<RunFile> {
    const path = await this.#pathOf(id);
    const file = this.#open.get(id) ?? new RunFile(this.folder, path);
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

  /** What a run's page shows, by the events in `series`. */
  async state(id: string, file: RunFile, process: ProcessState, series: RunSeries): Promise<RunState> {
    const described = await readInfo(this.folder, file.runPath);
    return {
      id,
      generation: file.generation,
      info: described.info,
      summary: this.summaryOf(id, described, process, series),
      ...seriesData(series),
      log: series.log,
      checkpoints: await this.checkpoints(file),
      read: series === file.series ? 1 : file.read,
    };
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

  summaryOf(id: string, described: Described, process: ProcessState, series: RunSeries): RunSummary {
    return summarize(id, { ...described, process, series, now: this.now() });
  }

  /** Some of a run's events, soon, however many there are. */
  async sketch({ runPath }: RunFile): Promise<RunSeries> {
    const skimmed = new RunFile(this.folder, runPath, pageSkim);
    await skimmed.refresh();
    return skimmed.series;
  }

  /** The series of some steps of a run, in as much detail as fits. */
  async zoom(id: string, from: number, to: number): Promise<RunSeriesData> {
    const file = await this.file(id);
    await file.refresh();
    return seriesData(await file.part(from, to));
  }

  /** A file of results. Errors: UserError for an id that is none, or a file that is no longer one. */
  async result(id: string): Promise<Result> {
    const path = (await this.folder.find()).results.get(id);
    if (path === undefined) throw new UserError(`no file of results is named ${JSON.stringify(id)}`);
    return this.#results.read(path);
  }

  async #pathOf(id: string): Promise<string> {
    const known = this.#found?.runs.get(id);
    if (known !== undefined) return known;
    this.#found = await this.folder.find();
    const path = this.#found.runs.get(id);
    if (path === undefined) throw new UserError(`no run is named ${JSON.stringify(id)}`);
    return path;
  }

  async #summary(id: string, path: string): Promise<RunSummary> {
    const key = await fileKey(path);
    const known = this.#summaries.get(id);
    if (known?.key === key && known.summary.status !== 'running') return known.summary;
    const process = await processState(this.folder, path);
    const described = await readInfo(this.folder, path);
    const file = known?.file.runPath === path ? known.file : new RunFile(this.folder, path, listSkim);
    await file.refresh();
    const summary = this.summaryOf(id, described, process, file.series);
    this.#summaries.set(id, { key, summary, file });
    return summary;
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

/** What changes when a run's files do. */
async function fileKey(path: string): Promise<string> {
  const states = await Promise.all(
    ['events.jsonl', 'run.json', lockName].map((name) => stat(join(path, name)).catch(() => undefined)),
  );
  return states.map((state) => `${state?.ino} ${state?.size} ${state?.mtimeMs}`).join();
}
