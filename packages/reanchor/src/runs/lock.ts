/** One process at a time in a run folder. */
import { execFileSync } from 'node:child_process';
import { linkSync, readFileSync, readlinkSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { hostname, platform } from 'node:os';
import { join } from 'node:path';
import { UserError } from '../errors.js';
import { temporaryName, writeError } from '../formats/atomic.js';
import { isAlive } from '../processes.js';

/** The name of the lock in a run folder. */
export const lockName = 'run.lock';

/** What tells a process from every other one, also from a later one with the same number. */
interface Holder {
  pid: number;
  host: string;
  /** Changes when the machine starts again. */
  boot: string | undefined;
  /** When the process began, in the units of the system. */
  began: string | undefined;
  /** In which numbering of processes `pid` is: each container has its own. */
  numbering: string | undefined;
}

/**
 * Makes this process the only one that writes into a run folder, until the lock is disposed. A lock that a crash has left
 * behind is taken over: its process is gone, or another one has its number now, or the machine has started again.
 * Whether a process of another machine or container still runs cannot be known from here, so that its lock stays.
 *
 * Errors: UserError when another process holds it, or might; or when the folder cannot be written.
 */
export function lockRun(folder: string): Disposable {
  const path = join(folder, lockName);
  const own = JSON.stringify(holderOf(process.pid));
  for (;;) {
    if (place(path, own)) break;
    const found = read(path);
    if (found === undefined) continue;
    refuseIfHeld(folder, path, found);
    removeStale(path, found);
  }
  return {
    [Symbol.dispose]: () => {
      if (read(path) === own) rmSync(path, { force: true });
    },
  };
}

/** Makes sure that no process has locked a run folder. Errors: UserError when one has, or might. */
export function refuseLockedRun(folder: string): void {
  const path = join(folder, lockName);
  const found = read(path);
  if (found !== undefined) refuseIfHeld(folder, path, found);
}

/**
 * Whether the process that a lock's text names still runs: `unknown` of one on another machine or in another
 * container, and of a text that is no lock.
 */
export function lockHolderState(text: string): 'running' | 'gone' | 'unknown' {
  const holder = parse(text);
  return holder === undefined ? 'unknown' : stateOf(holder);
}

function stateOf(holder: Holder): 'running' | 'gone' | 'unknown' {
  const here = holderOf(holder.pid);
  if (holder.host !== here.host || holder.numbering !== here.numbering) return 'unknown';
  return holder.boot === here.boot && isAlive(holder.pid) && holder.began === here.began ? 'running' : 'gone';
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
      if (code === 'EEXIST') return false;
      // File systems without hard links.
      if (code !== 'EPERM' && code !== 'ENOTSUP' && code !== 'ENOSYS') throw error;
      writeFileSync(path, text, { flag: 'wx' });
    }
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw writeError(path, error);
  } finally {
    rmSync(temporary, { force: true });
  }
}

function refuseIfHeld(folder: string, path: string, text: string): void {
  const holder = parse(text);
  // Without hard links a lock can be seen half written.
  if (holder === undefined) {
    const age = Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0);
    if (age >= 0 && age < 10_000) throw new UserError(`${path} is being written by another process: try again`);
    return;
  }
  const who = `process ${holder.pid} on ${holder.host}`;
  const state = stateOf(holder);
  if (state === 'unknown') {
    throw new UserError(
      `${folder} is used by ${who}, or was when that was cut off; from here it cannot be seen whether it still runs: ` +
        `if it does not, delete ${path}`,
    );
  }
  if (state === 'gone') return;
  throw new UserError(`${folder} is used by ${who}: wait for it or stop it, or name another folder`);
}

/** Two processes may find the same stale lock: only the one that moves it away removes it. */
function removeStale(path: string, text: string): void {
  const moved = temporaryName(path);
  try {
    renameSync(path, moved);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw writeError(path, error);
  }
  // The lock of somebody who was faster goes back.
  if (read(moved) === text) rmSync(moved, { force: true });
  else renameSync(moved, path);
}

function holderOf(pid: number): Holder {
  const isLinux = platform() === 'linux';
  const isMac = platform() === 'darwin';
  return {
    pid,
    host: hostname(),
    boot: isLinux
      ? attempt(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim())
      : isMac
        ? attempt(() => output('sysctl', '-n', 'kern.bootsessionuuid'))
        : undefined,
    began: isLinux
      ? attempt(() => startTicks(readFileSync(`/proc/${pid}/stat`, 'utf8')))
      : isMac
        ? attempt(() => output('ps', '-o', 'lstart=', '-p', String(pid)))
        : undefined,
    numbering: isLinux ? attempt(() => readlinkSync('/proc/self/ns/pid')) : undefined,
  };
}

/**
 * Field 22 of /proc/PID/stat; the name in field 2 may hold spaces and parentheses. Undefined of a process that has
 * ended and is only not yet asked for by its parent.
 */
function startTicks(stat: string): string | undefined {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return ['Z', 'X'].includes(fields[0]!) ? undefined : fields[19];
}

const output = (command: string, ...args: string[]) =>
  execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();

function attempt<T>(ask: () => T): T | undefined {
  try {
    return ask();
  } catch {
    return undefined;
  }
}

const read = (path: string) => attempt(() => readFileSync(path, 'utf8'));

function parse(text: string): Holder | undefined {
  const holder = attempt(() => JSON.parse(text) as Holder | null);
  return typeof holder?.pid === 'number' ? holder : undefined;
}
