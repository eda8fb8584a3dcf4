/** One file from the Hub to the disk: resumed where it broke off, whole and checked or not there. */
import { createHash } from 'node:crypto';
import { type FileHandle, open, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { withLock } from '@reanchor/torch/host';
import { UserError } from '../errors.js';
import { createReadStream, makeFolder, writeError, writeFully } from '../formats/index.js';
import { asUnreachable, type HubFile, type OpenedFile } from './client.js';
import { HubUnreachable, leastBytes, noticeMs, type Waiting } from './patience.js';

export interface BlobOptions {
  /** Opens the file at a byte offset, for `use`. */
  open: (offset: number, use: (file: OpenedFile) => Promise<void>) => Promise<void>;
  /** Hears how many of the file's bytes are there. */
  onBytes?: ((bytes: number) => void) | undefined;
  signal?: AbortSignal | undefined;
  waiting: Waiting;
}

/**
 * Connections in a row that bring next to nothing new, before it is given up; the pause doubles from one to the next.
 */
const fruitlessTries = 4;
const firstPauseMs = 500;

/**
 * Makes sure that `target` is the file: it is downloaded beside it, in `<target>.reanchor.incomplete`, which stays when
 * the download breaks off and is continued by the next one; its size and hash are compared before it gets its name.
 * Errors: HubUnreachable; UserError for a file that is not what the Hub says, and for a disk that cannot be written.
 */
export async function downloadBlob(file: HubFile, target: string, options: BlobOptions): Promise<void> {
  const partial = unfinished(target);
  await makeFolder(dirname(target));
  await whenFree(`${partial}.lock`, options, async () => {
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
  });
}

/**
 * Runs `work` while no other process downloads the file. The locks of Python's huggingface_hub are of another kind: it
 * never shares an unfinished file with us.
 */
async function whenFree(lock: string, { waiting, signal }: BlobOptions, work: () => Promise<void>): Promise<void> {
  let isTold = false;
  const onWait = (holder: string, waitedMs: number) => {
    if (!isTold && waitedMs >= noticeMs) waiting.onWait?.(`waiting for ${holder}, which downloads the same file`);
    isTold ||= waitedMs >= noticeMs;
  };
  await withLock(lock, { onWait, signal, clock: waiting.clock }, work);
}

const unfinished = (target: string) => `${target}.reanchor.incomplete`;

/** The bytes that an earlier download has left of a file. */
export const unfinishedBytes = (target: string) => sizeOf(unfinished(target));

const sizeOf = async (path: string) => (await stat(path).catch(() => undefined))?.size ?? 0;

/** Fetches what is missing of a file and compares; says what is wrong with the result, which is then removed. */
async function completed(file: HubFile, partial: string, options: BlobOptions): Promise<string | undefined> {
  const { signal, waiting } = options;
  // Where a server gives the whole file each time, only what goes beyond the furthest byte is new.
  let furthest = await sizeOf(partial);
  for (let fruitless = 0; ; ) {
    try {
      await fetchRest(file, partial, options);
      break;
    } catch (cause) {
      signal?.throwIfAborted();
      const error = asUnreachable(cause, waiting.endpoint);
      if (!(error instanceof HubUnreachable)) throw error;
      const reached = await sizeOf(partial);
      fruitless = reached >= furthest + leastBytes ? 0 : fruitless + 1;
      furthest = Math.max(furthest, reached);
      if (fruitless === fruitlessTries) throw error;
      await waiting.clock.sleep(firstPauseMs * 2 ** fruitless, signal);
    }
  }
  const found = await hashOf(file, partial);
  if (found === file.hash.hex) return undefined;
  await rm(partial, { force: true });
  return `${file.path}: what was downloaded has ${file.hash.algorithm} ${found}, and the Hub says ${file.hash.hex}; it was removed: download it again, or choose another HF_ENDPOINT`;
}

async function fetchRest(
  file: HubFile,
  partial: string,
  { open: openAt, onBytes, signal }: BlobOptions,
): Promise<void> {
  const handle = await open(partial, 'a').catch((error) => {
    throw writeError(partial, error);
  });
  try {
    const { size: done } = await handle.stat();
    onBytes?.(done);
    if (done === file.size) return;
    await openAt(done, (opened) => append(file, opened, { handle, partial, done, onBytes, signal }));
    await handle.sync();
  } finally {
    await handle.close();
  }
}

interface Appended extends Pick<BlobOptions, 'onBytes' | 'signal'> {
  handle: FileHandle;
  partial: string;
  /** The bytes that are there. */
  done: number;
}

async function append({ path, size }: HubFile, { offset, body }: OpenedFile, to: Appended): Promise<void> {
  const { handle, partial, onBytes, signal } = to;
  let { done } = to;
  if (offset !== done) {
    await handle.truncate(0);
    if (offset !== 0) throw new UserError(`${path}: bytes from ${done} on were asked for, and from ${offset} on given`);
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
  if (done < size) throw new HubUnreachable(`${path}: the connection ended after ${done} of ${size} bytes: try again`);
}

/** The hash of a file on the disk, of the kind that the Hub names for it. */
export async function hashOf({ hash, size }: Pick<HubFile, 'hash' | 'size'>, path: string): Promise<string> {
  const digest = createHash(hash.algorithm === 'sha256' ? 'sha256' : 'sha1');
  if (hash.algorithm === 'git-sha1') digest.update(`blob ${size}\0`);
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) digest.update(chunk as Buffer);
  return digest.digest('hex');
}
