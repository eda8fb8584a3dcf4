/** Files that one process at a time holds. Each tells which process that is. */
import { linkSync, lstatSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { ownIdentity, type ProcessIdentity, type ProcessState, parseIdentity, stateOf } from './process-identity.js';
import { temporaryName } from './temporary-name.js';

/** A lock that somebody holds, or might. */
export interface HeldLock {
  /** What the file says. */
  text: string;
  /** Undefined of a file that is no whole lock. */
  holder: ProcessIdentity | undefined;
  /** Whether its process runs. */
  state: Exclude<ProcessState, 'gone'>;
}

/**
 * Makes this process the holder of a lock file, until the lock is disposed, or says who holds it. A lock that a crash
 * has left behind is taken over: its process is gone, or another one has its number now, or the machine has started
 * again. Whether a process of another machine or container still runs cannot be known from here. Errors: the system's.
 */
export function takeLock(path: string): Disposable | HeldLock {
  const own = JSON.stringify(ownIdentity());
  for (;;) {
    if (place(path, own)) break;
    const text = read(path);
    if (text === undefined) continue;
    const held = heldBy(text);
    if (held !== undefined) return held;
    removeLock(path, text);
  }
  return {
    [Symbol.dispose]: () => {
      try {
        if (read(path) === own) rmSync(path, { force: true });
      } catch {
        // Its folder is not ours any more, and so is what lies there.
      }
    },
  };
}

/** Who holds a lock file; undefined where there is none, or its process is gone. */
export function lockHolder(path: string): HeldLock | undefined {
  const text = read(path);
  return text === undefined ? undefined : heldBy(text);
}

/** Who holds a lock, in words. */
export const holderText = ({ holder }: HeldLock) =>
  holder === undefined ? 'an unknown process' : `process ${holder.pid} on ${holder.host}`;

function heldBy(text: string): HeldLock | undefined {
  const holder = parseIdentity(text);
  const state = holder === undefined ? 'unknown' : stateOf(holder);
  return state === 'gone' ? undefined : { text, holder, state };
}

/** Puts a whole lock in place, unless one is there. */
function place(path: string, text: string): boolean {
  const temporary = temporaryName(path);
  try {
    writeFileSync(temporary, text, { flag: 'wx' });
    try {
      linkSync(temporary, path);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      // File systems without hard links: there a lock can be seen half written.
      if (code !== 'EPERM' && code !== 'ENOTSUP' && code !== 'ENOSYS') throw error;
      writeFileSync(path, text, { flag: 'wx' });
    }
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  } finally {
    rmSync(temporary, { force: true });
  }
}

/** Removes a lock with this text. Two processes may find the same one: only the one that moves it away removes it. */
export function removeLock(path: string, text: string): void {
  const moved = temporaryName(path);
  try {
    renameSync(path, moved);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  // The lock of somebody who was faster goes back.
  if (read(moved) === text) rmSync(moved, { recursive: true, force: true });
  else renameSync(moved, path);
}

/** The text of a lock file: '' of what is no file, undefined of nothing. */
function read(path: string): string | undefined {
  try {
    return lstatSync(path).isFile() ? readFileSync(path, 'utf8') : '';
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
