/** What is asked of files that are held open, and of names beside them. */
import { existsSync, readSync, type Stats } from 'node:fs';

/** Whether two looks were at one file or folder, whatever its name is. */
export function isSame(one: Stats, other: Stats): boolean {
  return one.ino === other.ino && one.dev === other.dev;
}

/** The bytes of an open file between two offsets, in pieces that are valid until the next one. */
export function* pieces(file: number, begin: number, end: number): Generator<Uint8Array> {
  const buffer = Buffer.allocUnsafe(1 << 20);
  for (let at = begin; at < end; ) {
    const read = readSync(file, buffer, 0, Math.min(buffer.length, end - at), at);
    if (read === 0) return;
    yield buffer.subarray(0, read);
    at += read;
  }
}

/** The bytes of an open file up to the end of its last whole line, among the first `bytes`. */
export function lineEnd(file: number, bytes: number): number {
  const buffer = Buffer.allocUnsafe(1 << 16);
  for (let end = bytes; end > 0; ) {
    const begin = Math.max(0, end - buffer.length);
    const read = readSync(file, buffer, 0, end - begin, begin);
    const last = buffer.subarray(0, read).lastIndexOf(10);
    if (last >= 0) return begin + last + 1;
    end = begin;
  }
  return 0;
}

/** The path with the lowest number behind it that nothing has: `final.damaged-1`. */
export function freeName(path: string): string {
  for (let i = 1; ; i++) if (!existsSync(`${path}-${i}`)) return `${path}-${i}`;
}
