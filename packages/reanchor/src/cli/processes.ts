/** Commands whose work several processes share: those of `--processes`, or those that a launcher has started. */
import { UsageError, UserError } from '../errors.js';
import { runProcesses, tieToLauncher, type World, worldOf, worldVariable } from '../launch/index.js';
import { type ProcessGroup, requireSame } from '../parallel/together.js';
import { packageVersion } from '../version.js';
import { flagOf } from './failure.js';
import { deviceFlag, numberFlag } from './flags.js';
import { Terminal } from './terminal.js';

/** The flags by which processes are told apart; the others are those of all. */
export interface ProcessesFlags {
  processes?: string;
  device?: string;
}

/** What the work of a command needs of the process that it is done in. */
export interface Shared {
  /** Those that share the work; undefined where this process is alone. */
  world?: ProcessGroup | undefined;
  /** As the flag says; of several GPUs that of this process. */
  device?: string | undefined;
  /** Where rank 0 prints. Another process prints nothing but why it has failed. */
  terminal: Terminal;
  /** Aborted when the other processes are ended. */
  signal?: AbortSignal | undefined;
}

interface ProcessesOptions {
  terminal: Terminal;
  /** Why the work is that of one process, if it is. */
  alone?: string | undefined;
}

/** The exit code of a run that was stopped, and of one of several processes, whatever it was that stopped it. */
export const stoppedCode = 130;

/** Seconds that processes wait for each other: at the beginning, and where one of them has more to do. */
const [openSeconds, timeoutSeconds] = [600, 24 * 3600];

/**
 * Does the work of a command: here; in `--processes` of this machine; or as one of the processes that a launcher has
 * started. All do the same work with one `world`, of which each computes a part. Returns the exit code: that of the
 * work (0 where it gives none), or of the processes. Errors: those of the work; UsageError where the environment is
 * half-set, or where the work is that of one process; UserError where the processes differ, or lose each other.
 */
export async function inProcesses<Flags extends ProcessesFlags>(
  flags: Flags,
  { terminal, alone }: ProcessesOptions,
  work: (shared: Shared) => Promise<number | undefined>,
): Promise<number> {
  const { count, launched } = placeOf(flags);
  const device = deviceFlag(flags.device);
  if (launched === undefined && count === undefined) return (await work({ device, terminal })) ?? 0;
  if (alone !== undefined) {
    const what = count === undefined ? `${launched!.launcher} has started ${launched!.size} processes` : '--processes';
    throw new UsageError(`${what}: ${alone}, which one process does`);
  }
  if (count !== undefined) return await startProcesses(count, terminal);
  return await amongOthers(launched!, flags, terminal, work);
}

/**
 * Where this process stands: it starts `count` others, or is one of those that were `launched`, or neither. Errors:
 * UsageError of the flag, and where the environment is half-set.
 */
export function placeOf({ processes }: Pick<ProcessesFlags, 'processes'>): {
  count?: number | undefined;
  launched?: World | undefined;
} {
  const count = processes === undefined ? undefined : numberFlag('--processes', processes, { integer: true, min: 1 });
  const launched = worldOf(process.env);
  if (launched?.launcher !== 'reanchor') return { count, launched };
  // A command that this process starts is none of them.
  delete process.env[worldVariable];
  return { launched };
}

/** Runs this command in so many processes; returns their exit code. */
export function startProcesses(count: number, terminal: Terminal): Promise<number> {
  return runProcesses({ count, holdStore, note: (line) => terminal.note(line) });
}

/** The work of one process among others. */
async function amongOthers(
  launched: World,
  flags: ProcessesFlags,
  terminal: Terminal,
  work: (shared: Shared) => Promise<number | undefined>,
): Promise<number> {
  const isOurs = launched.launcher === 'reanchor';
  const signal = isOurs ? tieToLauncher() : undefined;
  try {
    const { openWorld } = await import('../driver/index.js');
    // What they send each other are numbers of the CPU.
    const joining = { device: deviceFlag(flags.device), timeoutSeconds, openSeconds, backend: 'gloo' } as const;
    using opened = await openWorld(launched, joining);
    const { world, device } = opened;
    return await failingTogether(world, async () => {
      requireSame(world, settingsOf(flags));
      return await work({ world, device, terminal: launched.rank === 0 ? terminal : silentTerminal(), signal });
    });
  } catch (error) {
    if (signal?.aborted && error === signal.reason) return stoppedCode;
    if (!(error instanceof Error) || error.name !== 'DistributedError') throw error;
    // It has said so itself: by our launcher with its rank, by others where they print, and there rank 0 says it too.
    if (/ said: /.test(error.message) && (isOurs || launched.rank > 0)) return isOurs ? stoppedCode : 1;
    throw new UserError(error.message, { cause: error });
  }
}

/** The exit code of work that all processes do, 0 where it gives none. When it fails here the others hear why. */
async function failingTogether(world: ProcessGroup, work: () => Promise<number | undefined>): Promise<number> {
  try {
    const code = await work();
    // Launchers may end all when one has ended, and rank 0 may still be writing.
    world.barrier();
    return code ?? 0;
  } catch (error) {
    world.fail(error instanceof UserError ? error.told(flagOf) : (error as Error).message);
    throw error;
  }
}

/** What has to be the same for all processes. */
function settingsOf({ device: _, processes: __, ...flags }: ProcessesFlags): Record<string, string> {
  const given = Object.entries(flags).map(([name, value]) => [name, JSON.stringify(value)]);
  return { ...Object.fromEntries(given), version: packageVersion() };
}

function silentTerminal(): Terminal {
  const nowhere = { write: () => {} };
  return new Terminal({ stdout: nowhere, stderr: nowhere });
}

/** The store in which the processes find each other. */
async function holdStore(port: number) {
  const { holdWorldStore } = await import('../driver/index.js');
  return await holdWorldStore(port);
}
