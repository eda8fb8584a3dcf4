/**
 * Node's functions for reading, for regular files only. A named pipe, a socket, a device or a folder where a file
 * should be is told at once: reading it may never end, or never begin. Nothing else in the package reads files.
 */
import {
  closeSync,
  constants,
  fstatSync,
  openSync as nodeOpenSync,
  readFileSync as nodeReadFileSync,
  createReadStream as nodeStream,
  type ReadStream,
  type Stats,
  statSync,
} from 'node:fs';
import { type FileHandle, open as nodeOpen, stat } from 'node:fs/promises';
import { NotReadable } from '../errors.js';

/** A file that is read as a whole may have so many bytes. */
export const mostWholeBytes = 256 * 2 ** 20;

// A pipe that is put in the place of a file just now is not waited for.
const flags = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0);

function requireFile(path: string, found: Stats): void {
  if (found.isFile()) return;
  if (found.isDirectory()) throw new NotReadable(`${path} is a folder`);
  const kind = found.isFIFO() ? 'pipe' : found.isSocket() ? 'socket' : 'device';
  throw new NotReadable(`${path} is a ${kind}, and only files are read`);
}

function requireWhole(path: string, { size }: Stats, most: number): void {
  if (size <= most) return;
  throw new NotReadable(`${path} has ${size} bytes; a file that is read as a whole may have ${most}`);
}

/** The bytes of a file; 0 where there is none. Errors: NotReadable. */
export function fileSize(path: string): number {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found !== undefined) requireFile(path, found);
  return found?.size ?? 0;
}

/** Opens a file for reading. Errors: NotReadable, those of the system. */
export async function open(path: string): Promise<FileHandle> {
  requireFile(path, await stat(path));
  const handle = await nodeOpen(path, flags);
  try {
    requireFile(path, await handle.stat());
    return handle;
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** Opens a file for reading; returns its descriptor. Errors: NotReadable, those of the system. */
export function openSync(path: string): number {
  requireFile(path, statSync(path));
  const file = nodeOpenSync(path, flags);
  try {
    requireFile(path, fstatSync(file));
    return file;
  } catch (error) {
    closeSync(file);
    throw error;
  }
}

/** The bytes of a file, or its text. Errors: NotReadable, also for more than `most` bytes; those of the system. */
export async function readFile(path: string, encoding?: undefined, most?: number): Promise<Buffer>;
export async function readFile(path: string, encoding: 'utf8', most?: number): Promise<string>;
export async function readFile(path: string, encoding?: 'utf8', most = mostWholeBytes): Promise<Buffer | string> {
  const handle = await open(path);
  try {
    requireWhole(path, await handle.stat(), most);
    return await (encoding ? handle.readFile(encoding) : handle.readFile());
  } finally {
    await handle.close();
  }
}

/** As {@link readFile}. */
export function readFileSync(path: string, encoding?: undefined, most?: number): Buffer;
export function readFileSync(path: string, encoding: 'utf8', most?: number): string;
export function readFileSync(path: string, encoding?: 'utf8', most = mostWholeBytes): Buffer | string {
  const file = openSync(path);
  try {
    requireWhole(path, fstatSync(file), most);
    return nodeReadFileSync(file, encoding);
  } finally {
    closeSync(file);
  }
}

/** The bytes of a file in pieces; it is open when this returns. Errors, at once: NotReadable, those of the system. */
export function createReadStream(path: string, { highWaterMark = 1 << 16 } = {}): ReadStream {
  const fd = openSync(path);
  // Every piece is read into a new buffer of this size: a small file is not to take a large one.
  return nodeStream(path, { fd, highWaterMark: Math.min(highWaterMark, Math.max(1 << 16, fstatSync(fd).size)) });
}
