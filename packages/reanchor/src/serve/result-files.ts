import { stat } from 'node:fs/promises';
import { FormatError, UserError } from '../errors.js';
import { mostResultBytes, toyResultSchema, winRateDocumentSchema } from '../runs/index.js';
import type { Result, ResultEntry } from './api.js';
import type { ServedFolder } from './served-folder.js';

/** The JSON files of a folder that hold results. */
export class ResultFiles {
  readonly #known = new Map<string, { key: string; entry: ResultEntry | undefined }>();

  constructor(readonly folder: ServedFolder) {}

  /** The files among `candidates` (paths by id) that are results, the newest first. */
  async list(candidates: ReadonlyMap<string, string>): Promise<ResultEntry[]> {
    const entries: ResultEntry[] = [];
    for (const [id, path] of candidates) {
      const state = await stat(path).catch(() => undefined);
      if (!state) continue;
      const key = `${state.size} ${state.mtimeMs}`;
      let known = this.#known.get(id);
      if (known?.key !== key) {
        known = { key, entry: await this.#entry(id, path, state.mtime) };
        this.#known.set(id, known);
      }
      if (known.entry) entries.push(known.entry);
    }
    return entries.sort((a, b) => b.time.localeCompare(a.time));
  }

  /** Errors: UserError for a file that cannot be read; FormatError for one that holds no results. */
  async read(path: string): Promise<Result> {
    const text = await this.folder.read(path, mostResultBytes);
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch (error) {
      throw new FormatError(`not JSON: ${(error as Error).message}`, { file: path });
    }
    const winrate = winRateDocumentSchema.safeParse(value);
    if (winrate.success) return { kind: 'winrate', result: winrate.data };
    const toy = toyResultSchema.safeParse(value);
    if (toy.success) return { kind: 'toy', result: toy.data };
    throw new FormatError('neither a result of reanchor eval winrate nor one of reanchor toy', { file: path });
  }

  async #entry(id: string, path: string, modified: Date): Promise<ResultEntry | undefined> {
    try {
      const found = await this.read(path);
      const title =
        found.kind === 'winrate'
          ? `${found.result.names.join(', ')}, judged by ${found.result.settings.model}`
          : `${found.result.method}, beta ${found.result.beta}, ${found.result.seeds} seeds`;
      return { id, kind: found.kind, title, time: modified.toISOString() };
    } catch (error) {
      if (error instanceof UserError) return undefined;
      throw error;
    }
  }
}
