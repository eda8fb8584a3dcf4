/** Which process another one is, so that it is told from a later one with the same number. */
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname, platform } from 'node:os';
import { ask } from './programs.js';

/** What tells a process from every other one. */
export interface ProcessIdentity {
  pid: number;
  host: string;
  /** Changes when the machine starts again. */
  boot: string | undefined;
  /** When the process began, in the units of the system. */
  began: string | undefined;
  /** In which numbering of processes `pid` is: each container has its own. */
  numbering: string | undefined;
}

/** Whether a process runs, as far as can be seen from here. */
export type ProcessState = 'running' | 'gone' | 'unknown';

/** The identity of this process. */
export const ownIdentity = () => identityOf(process.pid);

/**
 * Whether a process still runs: it is gone too when another one has its number, or the machine has started again.
 * Unknown where it cannot be seen from here.
 */
export function stateOf(identity: ProcessIdentity): ProcessState {
  const here = identityOf(identity.pid);
  if (identity.host !== here.host || identity.numbering !== here.numbering) return 'unknown';
  if (identity.boot !== here.boot || !isAlive(identity.pid)) return 'gone';
  if (identity.began === here.began) return 'running';
  // Some systems hide the processes of others.
  return here.began === undefined ? 'unknown' : 'gone';
}

/** The identity in a text; undefined of one that holds none. */
export function parseIdentity(text: string): ProcessIdentity | undefined {
  const identity = attempt(() => JSON.parse(text) as ProcessIdentity | null);
  const isPid = Number.isInteger(identity?.pid) && identity!.pid > 0;
  return isPid && typeof identity!.host === 'string' ? identity! : undefined;
}

function identityOf(pid: number): ProcessIdentity {
  const isLinux = platform() === 'linux';
  const isMac = platform() === 'darwin';
  return {
    pid,
    host: hostname(),
    boot: isLinux
      ? attempt(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim())
      : isMac
        ? attempt(() => ask('/usr/sbin/sysctl', ['-n', 'kern.bootsessionuuid'], '/'))
        : undefined,
    began: isLinux
      ? attempt(() => startTicks(readFileSync(`/proc/${pid}/stat`, 'utf8')))
      : isMac
        ? attempt(() => ask('/bin/ps', ['-o', 'lstart=', '-p', String(pid)], '/'))
        : undefined,
    numbering: isLinux ? attempt(() => readlinkSync('/proc/self/ns/pid')) : undefined,
  };
}

/**
 * Field 22 of /proc/PID/stat; the name in field 2 may hold spaces and parentheses. `ended` of a process that has ended
 * and is only not yet asked for by its parent.
 */
function startTicks(stat: string): string | undefined {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return ['Z', 'X'].includes(fields[0]!) ? 'ended' : fields[19];
}

/** Whether a process has this number, also one that belongs to another user. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function attempt<T>(make: () => T): T | undefined {
  try {
    return make();
  } catch {
    return undefined;
  }
}
