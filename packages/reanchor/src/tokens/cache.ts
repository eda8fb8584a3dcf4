/**
 * Token files in the cache folder: rows that were made tokens once are opened ever after. A file is named by a digest
 * of all that its rows follow from, is whole or is made anew, and is made by one process at a time.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, utimesSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { cacheFolder, isTemporary, temporaryName, withLock } from '@reanchor/torch/host';
import type { Clock } from '../clock.js';
import type { DataKind } from '../data/index.js';
import { UserError } from '../errors.js';
import { sha256, writeError, writeFully } from '../formats/index.js';
import { openTokenFile, readHead, type Sink, type TokenFile, tokenFileIn } from './token-file.js';

const ending = '.rows';

/**
 * The folder of token files: REANCHOR_TOKENS, else `tokens` in the cache folder; undefined where REANCHOR_TOKENS is
 * `off`. Errors: UserError for one that is not absolute.
 */
export function tokensFolder(): string | undefined {
  const { REANCHOR_TOKENS: given } = process.env;
  if (!given) return join(cacheFolder(), 'tokens');
  if (given === 'off') return undefined;
  if (isAbsolute(given)) return given;
  throw new UserError(
    `REANCHOR_TOKENS is ${JSON.stringify(given)}: name an absolute folder for rows that were made tokens, or off to make them anew at each start`,
  );
}

/** The digest of what a file's rows follow from: values, and the content of files. Errors: those of `sha256`. */
export async function tokensKey(
  values: unknown,
  files: readonly string[],
  signal: AbortSignal | undefined,
): Promise<string> {
  const hash = createHash('sha256').update(JSON.stringify(values));
  for (const file of files) hash.update(await sha256(file, signal));
  return hash.digest('hex').slice(0, 40);
}

export interface CachedTokensOptions {
  /** Where it is kept; in memory alone where there is none. */
  folder: string | undefined;
  key: string;
  /** Writes the rows. */
  make: (sink: Sink) => Promise<void>;
  onNote: (note: string) => void;
  /** Hears, while another process makes the rows, which one. */
  onWait?: ((holder: string) => void) | undefined;
  signal?: AbortSignal | undefined;
  clock?: Clock | undefined;
}

/** The rows of a key, made if they are not there. Errors: those of `make`; the reason of `signal`. */
export async function cachedTokens<Kind extends DataKind>(options: CachedTokensOptions): Promise<TokenFile<Kind>> {
  const { folder, make, onNote } = options;
  if (folder === undefined) return await inMemory(make);
  try {
    return await inFolder(folder, options);
  } catch (error) {
    if (!isOfSystem(error)) throw error;
    onNote(
      `rows are made tokens anew at each start: ${(writeError(folder, error) as Error).message}; REANCHOR_TOKENS names another folder`,
    );
    return await inMemory(make);
  }
}

/** An error of the system, of this folder: what is wrong with sources is told as UserError. */
const isOfSystem = (error: unknown) => error instanceof Error && 'syscall' in error && 'code' in error;

async function inMemory<Kind extends DataKind>(make: CachedTokensOptions['make']): Promise<TokenFile<Kind>> {
  const chunks: Uint8Array[] = [];
  await make({ write: async (bytes) => void chunks.push(bytes) });
  return tokenFileIn(chunks);
}

async function inFolder<Kind extends DataKind>(
  folder: string,
  { key, make, onWait, signal, clock }: CachedTokensOptions,
): Promise<TokenFile<Kind>> {
  const path = join(folder, `${key}${ending}`);
  const found = await whole<Kind>(path);
  if (found) return found;
  mkdirSync(folder, { recursive: true });
  return await withLock(`${path}.lock`, { onWait, signal, clock }, async () => {
    const meanwhile = await whole<Kind>(path);
    if (meanwhile) return meanwhile;
    // Whoever was killed while it made this file has left it half written.
    for (const name of readdirSync(folder)) {
      if (isTemporary(name) && name.includes(key)) rmSync(join(folder, name), { force: true });
    }
    const temporary = temporaryName(path);
    let handle: FileHandle | undefined;
    try {
      handle = await open(temporary, 'wx');
      const opened = handle;
      await make({ write: (bytes) => writeFully(opened, bytes) });
      await handle.close();
      // Not flushed: a file that a crash of the machine has cut short is seen to be.
      renameSync(temporary, path);
    } finally {
      await handle?.close().catch(() => {});
      rmSync(temporary, { force: true });
    }
    const made = await openTokenFile<Kind>(path);
    if (made) return made;
    throw new UserError(
      `${path} is not what was written just now: is its disk broken? Name another by REANCHOR_TOKENS`,
    );
  });
}

/** The file if it is there and whole; it is used now. */
async function whole<Kind extends DataKind>(path: string): Promise<TokenFile<Kind> | undefined> {
  if (!existsSync(path)) return undefined;
  const found = await openTokenFile<Kind>(path);
  const now = new Date();
  try {
    if (found) utimesSync(path, now, now);
  } catch {
    // Of another user: when it was used is not kept then.
  }
  return found;
}

/** A file of the cache. */
export interface CachedTokens {
  name: string;
  path: string;
  bytes: number;
  used: Date;
  /** The rows in it, and the files that they come from; undefined of what is no whole file. */
  rows: number | undefined;
  sources: readonly string[];
}

/** The token files of a folder, the one used last first. */
export function listTokens(folder: string): CachedTokens[] {
  if (!existsSync(folder)) return [];
  const names = readdirSync(folder).filter((name) => name.endsWith(ending));
  const found = names.map((name): CachedTokens => {
    const path = join(folder, name);
    const { size, mtime } = statSync(path);
    const head = readHead(path);
    return {
      name: name.slice(0, -ending.length),
      path,
      bytes: size,
      used: mtime,
      rows: head?.rows,
      sources: head?.files ?? [],
    };
  });
  return found.sort((a, b) => b.used.getTime() - a.used.getTime());
}

/** Deletes token files; who reads one goes on with it. Errors: UserError. */
export function removeTokens(files: readonly CachedTokens[]): void {
  for (const { path } of files) {
    try {
      rmSync(path, { force: true });
    } catch (error) {
      throw writeError(path, error);
    }
  }
}
