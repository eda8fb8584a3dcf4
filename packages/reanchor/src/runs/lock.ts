/** One process at a time in a run folder. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import {
  type HeldLock,
  holderText,
  lockHolder,
  type ProcessState,
  parseIdentity,
  removeLock,
  stateOf,
  takeLock,
} from '@reanchor/torch/host';
import { UserError } from '../errors.js';
import { writeError } from '../formats/index.js';

/** The name of the lock in a run folder. */
export const lockName = 'run.lock';

/** So long a lock can be half written, where the file system has no hard links. */
const unwrittenMs = 10_000;

/**
 * Makes this process the only one that writes into a run folder, until the lock is disposed. A lock that a crash has
 * left behind is taken over, as `takeLock` does; that of a process which cannot be seen from here stays.
 *
 * Errors: UserError when another process holds it, or might; or when the folder cannot be written.
 */
export function lockRun(folder: string): Disposable {
  const path = join(folder, lockName);
  try {
    for (;;) {
      const taken = takeLock(path);
      if (Symbol.dispose in taken) return taken;
      refuseHeld(folder, path, taken);
      removeLock(path, taken.text);
    }
  } catch (error) {
    throw writeError(path, error);
  }
}

/** Makes sure that no process has locked a run folder. Errors: UserError when one has, or might. */
export function refuseLockedRun(folder: string): void {
  const path = join(folder, lockName);
  const held = lockHolder(path);
  if (held !== undefined) refuseHeld(folder, path, held);
}

/** Whether this process holds the lock of a run folder. */
export const holdsLock = (folder: string) => ownLock(folder) !== undefined;

/** Removes the lock of a run folder if this process holds it: of one that was moved away with its lock. */
export function releaseLock(folder: string): void {
  const held = ownLock(folder);
  try {
    if (held !== undefined) removeLock(join(folder, lockName), held.text);
  } catch {
    // A lock that stays is taken over later: its process is gone.
  }
}

function ownLock(folder: string): HeldLock | undefined {
  try {
    const held = lockHolder(join(folder, lockName));
    return held?.state === 'running' && held.holder?.pid === process.pid ? held : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Whether the process that a lock's text names still runs: `unknown` of one on another machine or in another
 * container, and of a text that is no lock.
 */
export function lockHolderState(text: string): ProcessState {
  const holder = parseIdentity(text);
  return holder === undefined ? 'unknown' : stateOf(holder);
}

/** Errors: UserError for all but what is no whole lock, and has been so for a while. */
function refuseHeld(folder: string, path: string, held: HeldLock): void {
  if (held.holder === undefined) {
    // Date.now() is in whole milliseconds: without floor, what was written in this one would be of the future.
    const age = Date.now() - Math.floor(statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0);
    if (age >= 0 && age < unwrittenMs) throw new UserError(`${path} is being written by another process: try again`);
    return;
  }
  if (held.state === 'running') {
    throw new UserError(`${folder} is used by ${holderText(held)}: wait for it or stop it, or name another folder`);
  }
  throw new UserError(
    `${folder} is used by ${holderText(held)}, or was when that was cut off; from here it cannot be seen whether it ` +
      `still runs: if it does not, delete ${path}`,
  );
}
