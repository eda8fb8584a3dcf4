/** The runs of a folder in a line each, which are made again when something of a run has changed. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { lockName } from '../runs/index.js';
import type { RunSummary } from './api.js';
import { type FileState, fileState } from './file-state.js';
import { RunFile, type Skim } from './run-file.js';
import type { ServedFolder } from './served-folder.js';
import { type Described, type ProcessState, processState, readInfo, statusOf, summarize } from './summary.js';

/** What is read of a file for the list. */
const listSkim: Skim = { samples: 96, buckets: 128 };
/** Runs that are looked at at once. */
const atOnce = 8;
/** Running runs whose events are kept in memory, so that only what has come since is read. */
const mostFollowed = 64;

interface Known extends FileState {
  path: string;
  process: ProcessState;
  described: Described;
  summary: RunSummary;
}

export class Summaries {
  readonly #known = new Map<string, Known>();
  /** Of runs that are running, in the order of their last use. */
  readonly #files = new Map<string, RunFile>();

  constructor(
    readonly folder: ServedFolder,
    readonly now: () => number,
  ) {}

  /** The summaries of runs (paths by id), newest first. One that has not changed is the same object as before. */
  async of(runs: ReadonlyMap<string, string>): Promise<RunSummary[]> {
    const entries = [...runs];
    const summaries: RunSummary[] = [];
    const work = async () => {
      for (let entry = entries.pop(); entry; entry = entries.pop()) summaries.push(await this.#of(...entry));
    };
    await Promise.all(Array.from({ length: atOnce }, work));
    for (const id of this.#known.keys()) if (!runs.has(id)) this.#forget(id);
    return summaries.sort((a, b) => (b.started ?? '').localeCompare(a.started ?? '') || a.id.localeCompare(b.id));
  }

  async #of(id: string, path: string): Promise<RunSummary> {
    const state = await runState(path, this.now());
    const known = this.#known.get(id);
    const isSame = known?.isSettled && known.key === state.key && known.path === path;
    if (isSame && known.summary.status !== 'running') return known.summary;
    // Asked before the events are read: a process that is gone writes no more of them.
    const process = await processState(this.folder, path);
    const file = this.#files.get(id) ?? new RunFile(this.folder, path, { skim: listSkim, now: this.now });
    if (isSame && this.#files.has(id)) {
      const { described } = known;
      const status = statusOf({ ...described, process, series: file.series, now: this.now() });
      if (status === known.summary.status) return known.summary;
    }
    const described = await readInfo(this.folder, path);
    await file.refresh();
    const events = { process, series: file.series, unread: file.problem, now: this.now() };
    const fresh = summarize(id, { ...described, ...events });
    const summary = JSON.stringify(known?.summary) === JSON.stringify(fresh) ? known!.summary : fresh;
    this.#known.set(id, { ...state, path, process, described, summary });
    this.#keep(id, summary.status === 'running' ? file : undefined);
    return summary;
  }

  #keep(id: string, file: RunFile | undefined): void {
    this.#files.delete(id);
    if (file) this.#files.set(id, file);
    if (this.#files.size <= mostFollowed) return;
    for (const [oldest] of this.#files) {
      this.#files.delete(oldest);
      break;
    }
  }

  #forget(id: string): void {
    this.#known.delete(id);
    this.#files.delete(id);
  }
}

/** What changes when one of a run's files does. */
async function runState(path: string, now: number): Promise<FileState> {
  const names = ['events.jsonl', 'run.json', lockName];
  const states = await Promise.all(
    names.map(async (name) => fileState(await stat(join(path, name)).catch(() => undefined), now)),
  );
  return { key: states.map(({ key }) => key).join(), isSettled: states.every(({ isSettled }) => isSettled) };
}
