/** The one folder that is served: what is in it is found by looking, and nothing outside of it is opened. */
import { constants } from 'node:fs';
import { type FileHandle, open, readdir, realpath, stat } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { UserError, unreadable } from '../errors.js';

/** Folders below RUNS that are searched for runs; those of a study lie four below its own. */
const depth = 6;
const mostFolders = 20_000;

/** What a sweep leaves in its folder, by their names. */
export const studyFiles = { results: 'results.jsonl', runs: 'runs', stages: 'stages', counts: 'study.json' } as const;

/** What a look at the folder found. */
export interface Found {
  /** Run folders by id: the path below RUNS, with `/`. */
  runs: Map<string, string>;
  /** Folders in which results.jsonl lies beside runs/, as a sweep leaves them, by id. */
  studies: Map<string, string>;
  /** JSON files that may be results, by id. */
  results: Map<string, string>;
  notes: string[];
}

export class ServedFolder {
  private constructor(
    /** As it was named. */
    readonly name: string,
    /** The real path. */
    readonly root: string,
  ) {}

  /** Errors: UserError for what is no folder. */
  static async at(name: string): Promise<ServedFolder> {
    let root: string;
    try {
      root = await realpath(name);
    } catch (error) {
      throw new UserError(`${unreadable(name, error)}: name a folder with run folders in it`);
    }
    if (!(await stat(root)).isDirectory())
      throw new UserError(`${name} is a file: name a folder with run folders in it`);
    return new ServedFolder(name, root);
  }

  /** The run folders and results there are now. A link that leads outside is noted, never followed. */
  async find(): Promise<Found> {
    const found: Found = { runs: new Map(), studies: new Map(), results: new Map(), notes: [] };
    const outside: string[] = [];
    let folders = 0;
    const look = async (path: string, level: number): Promise<void> => {
      folders += 1;
      if (folders > mostFolders) return;
      const entries = await readdir(path, { withFileTypes: true }).catch(() => []);
      const isRun = entries.some(({ name }) => name === 'run.json');
      if (isRun) found.runs.set(this.#id(path), path);
      const isStudy = entries.some((entry) => entry.name === studyFiles.results && entry.isFile());
      if (isStudy && entries.some((entry) => entry.name === studyFiles.runs && entry.isDirectory())) {
        found.studies.set(this.#id(path), path);
      }
      const below: Promise<void>[] = [];
      for (const entry of entries) {
        const inner = join(path, entry.name);
        let kind: 'file' | 'folder' | undefined = entry.isDirectory() ? 'folder' : entry.isFile() ? 'file' : undefined;
        if (entry.isSymbolicLink()) {
          const real = await this.#inside(inner);
          if (real === undefined) outside.push(this.#id(inner));
          else
            kind = await stat(real).then(
              (s) => (s.isFile() ? 'file' : undefined),
              () => undefined,
            );
        }
        if (kind === 'file' && entry.name.endsWith('.json') && entry.name !== 'run.json') {
          found.results.set(this.#id(inner), inner);
        }
        if (kind === 'folder' && !isRun && level < depth && !/^\.|^node_modules$/.test(entry.name)) {
          below.push(look(inner, level + 1));
        }
      }
      await Promise.all(below);
    };
    await look(this.root, 0);
    if (outside.length > 0) {
      found.notes.push(
        `not shown, because they lead out of the folder: ${outside.slice(0, 5).join(', ')}${outside.length > 5 ? ` and ${outside.length - 5} more` : ''}`,
      );
    }
    if (folders > mostFolders) found.notes.push(`only the first ${mostFolders} folders were searched`);
    return found;
  }

  /** An open file of the folder, for reading. Errors: the system's; UserError for one that is outside or no file. */
  async open(path: string): Promise<FileHandle> {
    const real = await realpath(path);
    if (!this.#holds(real)) throw new UserError(`${path} is outside of ${this.name}`);
    // The path is free of links now; one that takes its place in between is not followed.
    const handle = await open(real, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    if ((await handle.stat()).isFile()) return handle;
    await handle.close();
    throw new UserError(`${path} is no regular file, but a folder, a pipe or a device: it is not read`);
  }

  /** The text of a file of at most `most` bytes. Errors: as {@link open}. */
  async read(path: string, most: number): Promise<string> {
    const handle = await this.open(path);
    try {
      const { size } = await handle.stat();
      if (size > most) throw new UserError(`${path} has ${size} bytes, more than the ${most} that are read`);
      // What is written behind it meanwhile is not waited for.
      const bytes = Buffer.alloc(size);
      let length = 0;
      for (let read = -1; read !== 0 && length < size; length += read) {
        read = (await handle.read(bytes, length, size - length, length)).bytesRead;
      }
      return bytes.toString('utf8', 0, length);
    } finally {
      await handle.close();
    }
  }

  /** The folders directly in a folder; none where that is outside or not there. */
  async folders(path: string): Promise<string[]> {
    const real = await this.#inside(path);
    if (real === undefined) return [];
    const entries = await readdir(real, { withFileTypes: true }).catch(() => []);
    return entries.filter((entry) => entry.isDirectory()).map(({ name }) => join(real, name));
  }

  /** The real path of what is at `path`; undefined if it is outside, or not there. */
  async #inside(path: string): Promise<string | undefined> {
    const real = await realpath(path).catch(() => undefined);
    return real !== undefined && this.#holds(real) ? real : undefined;
  }

  #holds(real: string): boolean {
    return real === this.root || real.startsWith(this.root.endsWith(sep) ? this.root : this.root + sep);
  }

  #id(path: string): string {
    return relative(this.root, path).split(sep).join('/') || '.';
  }
}
