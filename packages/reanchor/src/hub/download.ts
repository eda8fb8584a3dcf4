/** One file from the Hub to the disk: resumed where it broke off, whole and checked or not there. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, rename, rm, stat } from 'node:fs/promises';
import type { Clock } from '../clock.js';
import { UserError } from '../errors.js';
import { writeError, writeFully } from '../formats/atomic.js';
import { asUnreachable, type HubFile, HubUnreachable, type OpenedFile } from './client.js';
import { withLock } from './lock.js';

export interface BlobOptions {
  /** Opens the file at a byte offset. */
  open: (offset: number) => Promise<OpenedFile>;
  /** Hears how many of the file's bytes are there. */
  onBytes?: ((bytes: number) => void) | undefined;
  signal?: AbortSignal | undefined;
  endpoint: string;
  clock: Clock;
}

/** Connections in a row that bring nothing, before it is given up; the pause doubles from one to the next. */
const fruitlessTries = 4;
const firstPauseMs = 500;

/**
 * Makes sure that `target` is the file: it is downloaded beside it, in `<target>.reanchor.incomplete`, which stays
 * when the download breaks off and is continued by the next one; its size and hash are compared before it gets its name.
 * Errors: HubUnreachable; UserError for a file that is not what the Hub says, and for a disk that cannot be written.
 */
export async function downloadBlob(file: HubFile, target: string, options: BlobOptions): Promise<void> {
  const partial = unfinished(target);
  await withLock(
    `${partial}.lock`,
    async () => {
      if ((await stat(target).catch(() => undefined))?.size === file.size) return;
      if ((await sizeOf(partial)) > file.size) await rm(partial, { force: true });
      const isContinued = (await sizeOf(partial)) > 0;
      let problem = await completed(file, partial, options);
      // What was left over may be of something else; the file from one source is given one chance.
      if (problem !== undefined && isContinued) problem = await completed(file, partial, options);
      if (problem !== undefined) throw new UserError(problem);
      await rename(partial, target).catch((error) => {
        throw writeError(target, error);
      });
    },
    options,
  );
}

const unfinished = (target: string) => `${target}.reanchor.incomplete`;

/** The bytes that an earlier download has left of a file. */
export const unfinishedBytes = (target: string) => sizeOf(unfinished(target));

const sizeOf = async (path: string) => (await stat(path).catch(() => undefined))?.size ?? 0;

/** Fetches what is missing of a file and compares; says what is wrong with the result, which is then removed. */
async function completed(file: HubFile, partial: string, options: BlobOptions): Promise<string | undefined> {
  for (let fruitless = 0; ; ) {
    const before = await sizeOf(partial);
    try {
      await fetchRest(file, partial, options);
      break;
    } catch (cause) {
      options.signal?.throwIfAborted();
      const error = asUnreachable(cause, options.endpoint);
      if (!(error instanceof HubUnreachable)) throw error;
      fruitless = (await sizeOf(partial)) > before ? 0 : fruitless + 1;
      if (fruitless === fruitlessTries) throw error;
      await options.clock.sleep(firstPauseMs * 2 ** fruitless, options.signal);
    }
  }
  const found = await hashOf(file, partial);
  if (found === file.hash.hex) return undefined;
  await rm(partial, { force: true });
  return `${file.path}: what was downloaded has ${file.hash.algorithm} ${found}, and the Hub says ${file.hash.hex}; it was removed: download it again, or choose another HF_ENDPOINT`;
}

async function fetchRest({ path, size }: HubFile, partial: string, { open: openAt, onBytes, signal }: BlobOptions) {
  const handle = await open(partial, 'a').catch((error) => {
    throw writeError(partial, error);
  });
  try {
    let { size: done } = await handle.stat();
    onBytes?.(done);
    if (done === size) return;
    const { offset, body } = await openAt(done);
    if (offset !== done) {
      await handle.truncate(0);
      if (offset !== 0)
        throw new UserError(`${path}: bytes from ${done} on were asked for, and from ${offset} on given`);
      done = 0;
    }
    for await (const chunk of body) {
      signal?.throwIfAborted();
      done += chunk.length;
      if (done > size) {
        await handle.truncate(0);
        throw new UserError(`${path}: the Hub says that it has ${size} bytes, and sends more: it was removed`);
      }
      await writeFully(handle, chunk).catch((error) => {
        throw writeError(partial, error);
      });
      onBytes?.(done);
    }
    if (done < size)
      throw new HubUnreachable(`${path}: the connection ended after ${done} of ${size} bytes: try again`);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function hashOf({ hash, size }: HubFile, path: string): Promise<string> {
  const digest = createHash(hash.algorithm === 'sha256' ? 'sha256' : 'sha1');
  if (hash.algorithm === 'git-sha1') digest.update(`blob ${size}\0`);
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) digest.update(chunk as Buffer);
  return digest.digest('hex');
}
