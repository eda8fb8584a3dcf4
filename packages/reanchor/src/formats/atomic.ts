/** Files and folders that are whole or absent: written under a temporary name beside the target, fsynced, renamed. */
import {
  access,
  constants,
  type FileHandle,
  mkdir,
  open,
  readdir,
  realpath,
  rename,
  rm,
  stat,
  statfs,
} from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { temporaryName } from '@reanchor/torch/host';
import { UserError } from '../errors.js';

export { isTemporary, temporaryName } from '@reanchor/torch/host';

/** Writes the content of a file to an open handle, from the start on. */
export type WriteContent = (handle: FileHandle) => Promise<void>;

/**
 * Writes a file that is whole or absent. `content` is text (written as UTF-8), bytes, or a function that writes to the
 * handle. A link is followed, the mode of a file that is replaced is kept; devices and pipes are written to directly.
 *
 * Errors: UserError when the file cannot be written (what failed, what to do); errors of `content` itself. Either way
 * nothing is left behind and a file that was there is untouched.
 */
export async function writeFileAtomic(path: string, content: string | Uint8Array | WriteContent): Promise<void> {
  const write: WriteContent =
    typeof content === 'function'
      ? content
      : (handle) => writeFully(handle, typeof content === 'string' ? Buffer.from(content) : content);
  const existing = await stat(path).catch(() => undefined);
  if (existing?.isDirectory()) throw new UserError(`${path} is a folder: name a file`);
  if (existing && !existing.isFile()) return writeDirectly(path, write);

  const target = existing ? await realpath(path) : path;
  const temporary = temporaryName(target);
  let handle: FileHandle | undefined;
  try {
    handle = await open(temporary, 'wx');
    if (existing) await handle.chmod(existing.mode & 0o7777);
    await write(handle);
    await handle.sync();
    await handle.close();
    await rename(temporary, target);
    await syncFolder(dirname(target));
  } catch (error) {
    await handle?.close().catch(() => {});
    if (handle) await rm(temporary, { force: true }).catch(() => {});
    throw writeError(path, error);
  }
}

/**
 * Makes a folder that is whole or absent: `fill` gets the path of a temporary folder beside it, which is fsynced with
 * all that is in it and renamed when `fill` is done. Returns what `fill` returns. An empty folder may be there already.
 *
 * Errors: UserError for a target that exists and is not an empty folder, or that cannot be written; errors of `fill`.
 * Either way the temporary folder is removed.
 */
export async function writeFolderAtomic<T>(path: string, fill: (temporary: string) => Promise<T>): Promise<T> {
  const target = (await requireNewFolder(path)) ? await realpath(path) : resolve(path);
  const temporary = temporaryName(target);
  let isMade = false;
  try {
    await mkdir(temporary);
    isMade = true;
    const result = await fill(temporary);
    await syncTree(temporary);
    await rename(temporary, target);
    await syncFolder(dirname(target));
    return result;
  } catch (error) {
    if (isMade) await rm(temporary, { recursive: true, force: true }).catch(() => {});
    const told = writeError(path, error);
    // The temporary folder is gone: a message that names it would send people to look for it.
    const isWithin = told instanceof UserError && told.message.includes(temporary);
    throw isWithin ? new UserError(told.message.replaceAll(temporary, path), { cause: told }) : told;
  }
}

/** Whether an empty folder is at `path`, and else nothing. Errors: UserError for anything else. */
export async function requireNewFolder(path: string): Promise<boolean> {
  const existing = await stat(path).catch(() => undefined);
  if (existing && !existing.isDirectory()) throw new UserError(`${path} is a file: name a new folder`);
  if (existing && (await readdir(path)).length > 0) {
    throw new UserError(`${path} exists and is not empty: name a new folder, or move this one away`);
  }
  return existing !== undefined;
}

/** Makes a folder whose parent is there, so that its name is on the disk; it may exist. Errors: UserError. */
export async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true });
    await syncFolder(dirname(path));
  } catch (error) {
    throw writeError(path, error);
  }
}

/**
 * Makes sure, before long work begins, that `path` can be written and that its disk has room for `bytes`. It is a look
 * ahead, no promise. Errors: UserError.
 */
export async function requireWritable(path: string, bytes: number): Promise<void> {
  const existing = await stat(path).catch(() => undefined);
  const isDevice = existing !== undefined && !existing.isFile() && !existing.isDirectory();
  const place = existing?.isDirectory() || isDevice ? path : dirname(resolve(path));
  try {
    await access(place, constants.W_OK);
  } catch (error) {
    throw writeError(path, error);
  }
  if (isDevice) return;
  const { bavail, bsize } = await statfs(place);
  const free = bavail * bsize;
  if (free >= bytes) return;
  const megabytes = (n: number) => `${(n / 1e6).toFixed(2)} MB`;
  throw new UserError(
    `${path} needs ${megabytes(bytes)}, but the disk of ${place} has ${megabytes(free)} free: free some space, or write to another disk`,
  );
}

/** Writes all bytes at the handle's position. Errors: the system's. */
export async function writeFully(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  const most = 1 << 26;
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await handle.write(bytes, done, Math.min(most, bytes.length - done));
    done += bytesWritten;
  }
}

/** What a failed system call means for somebody who wants to write `path`; other errors are returned as they are. */
export function writeError(path: string, error: unknown): unknown {
  const { code, syscall, message } = error as NodeJS.ErrnoException;
  if (!(error instanceof Error) || error instanceof UserError || code === undefined || syscall === undefined)
    return error;
  const advice: Record<string, string> = {
    ENOSPC: `the disk is full (${code}): free some space, or write to another disk`,
    EDQUOT: `the disk quota is used up (${code}): free some space, or write to another disk`,
    EFBIG: `the file is too large for this disk (${code}): write to another disk`,
    EACCES: `no permission (${code}): change the permissions of ${dirname(path)}, or write to another folder`,
    EPERM: `no permission (${code}): change the permissions of ${dirname(path)}, or write to another folder`,
    EROFS: `the file system is read-only (${code}): write to another folder`,
    ENOENT: `the folder ${dirname(path)} does not exist (${code}): make it (mkdir -p), or write to another folder`,
    ENOTDIR: `a part of ${dirname(path)} is a file, not a folder (${code}): write to another folder`,
    ENOTEMPTY: `a folder with something in it is there (${code}): name another one, or move it away`,
    EEXIST: `something is there already (${code}): name another path, or move it away`,
    ENAMETOOLONG: `the name is too long (${code}): choose a shorter one`,
    EMFILE: `too many files are open (${code}): raise the limit (ulimit -n)`,
  };
  return new UserError(`${path} cannot be written: ${advice[code] ?? message}`, { cause: error });
}

async function writeDirectly(path: string, write: WriteContent): Promise<void> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(path, 'w');
    await write(handle);
  } catch (error) {
    throw writeError(path, error);
  } finally {
    await handle?.close().catch(() => {});
  }
}

async function syncTree(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) await syncTree(path);
    else if (entry.isFile()) await syncPath(path);
  }
  await syncFolder(folder);
}

async function syncPath(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Makes a rename durable. Some file systems refuse to fsync a folder; the rename itself is done by then. */
export async function syncFolder(folder: string): Promise<void> {
  await syncPath(folder).catch(() => {});
}
