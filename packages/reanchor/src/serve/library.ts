/** All runs and results of a folder, kept up to date at little cost, however large they are. */
import { stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { UserError } from '../errors.js';
import type { Result, RunList, RunSeriesData, RunState, RunSummary } from './api.js';
import { ResultFiles } from './result-files.js';
import { RunFile, sketch } from './run-file.js';
import type { RunSeries } from './run-series.js';
import type { Found, ServedFolder } from './served-folder.js';
import { readInfo, summarize } from './summary.js';

/** Runs whose series are kept in memory: each takes up to some megabytes. */
const mostOpen = 40;
/** Samples of a file for the list, and for a page whose file is not read yet. */
const [listSketch, pageSketch] = [
  { samples: 24, buckets: 128 },
  { samples: 240, buckets: 1024 },
];
/** Runs that are looked at at once. */
const atOnce = 16;

export class Library {
  readonly #summaries = new Map<string, { key: string; summary: RunSummary; series: RunSeries }>();
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

  /** What a run's page shows, by the events in `series`. */
  async state(id: string, file: RunFile, series: RunSeries): Promise<RunState> {
    const described = await readInfo(this.folder, file.runPath);
    return {
      id,
      generation: file.generation,
      info: described.info,
      summary: summarize(id, described, series, this.now()),
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

  /** The summary of a run whose state is known, by its newest events. */
  summaryOf(id: string, { info, summary: { problem } }: RunState, series: RunSeries): RunSummary {
    return summarize(id, { info, problem }, series, this.now());
  }

  /** Some of a run's events, at once, however many there are. */
  async sketch(file: RunFile): Promise<RunSeries> {
    return (await sketch(this.folder, file.runPath, pageSketch)).series;
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
    const described = await (known?.key === key && known.summary.status !== 'running'
      ? undefined
      : readInfo(this.folder, path));
    if (known && !described) return known.summary;
    const series = known?.key === key ? known.series : (await sketch(this.folder, path, listSketch)).series;
    const summary = summarize(id, described!, series, this.now());
    this.#summaries.set(id, { key, summary, series });
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
    ['events.jsonl', 'run.json'].map((name) => stat(join(path, name)).catch(() => undefined)),
  );
  return states.map((state) => `${state?.ino} ${state?.size} ${state?.mtimeMs}`).join();
}
