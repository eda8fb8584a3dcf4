import type { Stats } from 'node:fs';

/** Times of files are as coarse as this on some file systems; a change within it may leave no trace in them. */
const coarsestMs = 2000;

/** What changes when a file does. */
export interface FileState {
  key: string;
  /** Whether any change after `now` will show in `key`. */
  isSettled: boolean;
}

/** The state of a file by what `stat` says, `undefined` where it is not there; `now` in milliseconds since 1970. */
export function fileState(stats: Stats | undefined, now: number): FileState {
  if (stats === undefined) return { key: 'none', isSettled: true };
  const { dev, ino, size, mtimeMs, ctimeMs } = stats;
  return {
    key: `${dev} ${ino} ${size} ${mtimeMs} ${ctimeMs}`,
    isSettled: Math.max(mtimeMs, ctimeMs) < now - coarsestMs,
  };
}
