/** Several processes of one machine that train together, started and watched by one that does not train. */
import { availableParallelism, constants } from 'node:os';
import { type StartedProgram, startProgram } from '@reanchor/torch/host';
import { UsageError } from '../errors.js';
import { patienceSeconds } from './tie.js';
import { type World, worldOf, worldVariable } from './world.js';

/** A rendezvous store that this process keeps. */
interface HeldStore {
  /** Where it listens. */
  port: number;
  close(): void;
}

interface ProcessesOptions {
  /** How many processes on this machine. */
  count: number;
  /** Opens the store in which they find each other; port 0 stands for any free one. */
  holdStore(port: number): HeldStore | Promise<HeldStore>;
  /** Hears a line for the person who watches. */
  note(line: string): void;
  /** How long the others may take to end when one has failed. */
  patience?: number;
}

/** The exit code of a process that was asked to stop, and has. */
const stoppedCode = 130;

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * Runs this command again in `count` processes, each with its {@link World} in the environment, until all have ended.
 * Rank 0 writes where this process does; the lines of the others go to `note`, after `[rank 2] `. Ctrl-C, SIGTERM and
 * SIGHUP go to all of them; at the second one they are ended if they do not end soon. When one fails the others are
 * told, by closing their stdin, and after `patience` seconds (10 when left out) they are ended. Whatever becomes of
 * this process, none is left: each ties itself to it by `tieToLauncher`. Where a launcher has started this process on
 * each of several machines, the processes are those of all machines, and this one opens the store if it is the first.
 *
 * Returns the exit code of the first that failed, of a signal 128 and its number, after its last words; 130 where they
 * were stopped; else 0. Errors: UsageError where the environment is half-set, or where a launcher has started several
 * on this machine already; those of `holdStore`.
 */
export async function runProcesses(options: ProcessesOptions): Promise<number> {
  const { count, holdStore, note, patience = patienceSeconds } = options;
  const machines = machinesOf(count);
  const isHolder = machines === undefined || (machines.storeHeldBy === 'rank 0' && machines.rank === 0);
  const store = isHolder ? await holdStore(machines?.port ?? 0) : undefined;
  const group = new Group(note, patience);
  const onSignal = (signal: NodeJS.Signals) => group.send(signal);
  for (const signal of signals) process.on(signal, onSignal);
  try {
    for (let local = 0; local < count; local += 1) {
      group.start(worldOfProcess(local, count, machines, store));
    }
    return await group.ended();
  } finally {
    group.kill();
    for (const signal of signals) process.off(signal, onSignal);
    store?.close();
  }
}

/** Where this process stands among its like on other machines; undefined where there is one machine. */
function machinesOf(count: number): World | undefined {
  if (!Number.isInteger(count) || count < 1) {
    throw new UsageError(`the processes of this machine are ${count}: it has to be a whole number, 1 or more`);
  }
  const machines = worldOf(process.env, { processes: count });
  if (machines === undefined || machines.localSize === 1) return machines;
  const { launcher, localSize } = machines;
  throw new UsageError(
    `${launcher} has started ${localSize} processes on this machine, and each of them would start ${count} more: ` +
      'have it start one on each machine, or let these train',
  );
}

function worldOfProcess(
  local: number,
  count: number,
  machines: World | undefined,
  store: HeldStore | undefined,
): World {
  return {
    rank: (machines?.rank ?? 0) * count + local,
    size: (machines?.size ?? 1) * count,
    localRank: local,
    localSize: count,
    host: machines?.host ?? '127.0.0.1',
    port: machines?.port ?? store!.port,
    storeHeldBy: 'launcher',
    storePrefix: machines?.storePrefix ?? 'reanchor',
    launcher: 'reanchor',
  };
}

type Ended = Awaited<StartedProgram['ended']>;

/** Processes that end together. */
class Group {
  readonly #note: (line: string) => void;
  readonly #patience: number;
  readonly #running = new Map<number, StartedProgram>();
  readonly #codes: Promise<number>[] = [];
  #failure: { rank: number; code: number; words: string } | undefined;
  #signals = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(note: (line: string) => void, patience: number) {
    this.#note = note;
    this.#patience = patience;
  }

  start(world: World): void {
    const { rank, localSize } = world;
    const args = [...process.execArgv, ...process.argv.slice(1)];
    const env = { [worldVariable]: JSON.stringify(world), ...threadsOf(localSize) };
    const onLine = (line: string) => this.#note(`[rank ${rank}] ${line}`);
    const heard = rank === 0 ? { sharesOutput: true } : { onLine, onErrorLine: onLine };
    const started = startProgram(process.execPath, args, { env, folder: process.cwd(), ...heard });
    this.#running.set(rank, started);
    this.#codes.push(started.ended.then((end) => this.#onEnd(rank, end)));
  }

  /** Sends a signal to all; after the second they have `patience` seconds. */
  send(signal: NodeJS.Signals): void {
    this.#signals += 1;
    for (const program of this.#running.values()) program.send(signal);
    if (this.#signals > 1) this.#endSoon();
  }

  kill(): void {
    clearTimeout(this.#timer);
    for (const program of this.#running.values()) program.kill();
  }

  /** The exit code of all, when the last has ended. */
  async ended(): Promise<number> {
    const codes = await Promise.all(this.#codes);
    if (this.#failure === undefined) return codes.some((code) => code !== 0) ? stoppedCode : 0;
    const { rank, words, code } = this.#failure;
    this.#note(`rank ${rank} failed${codes.length > 1 ? ' first' : ''}: ${words}`);
    return code;
  }

  #onEnd(rank: number, end: Ended): number {
    this.#running.delete(rank);
    const code = exitCodeOf(end);
    const isStopped = code === stoppedCode || (this.#signals > 0 && end.signal !== null);
    if (code === 0 || isStopped || this.#failure !== undefined) return code;
    this.#failure = { rank, code, words: wordsOf(rank, end) };
    if (this.#running.size > 0) {
      this.#note(`rank ${rank} has failed: the others are ended, in ${this.#patience} seconds at the latest`);
      this.#endSoon();
    }
    return code;
  }

  #endSoon(): void {
    for (const program of this.#running.values()) program.close();
    this.#timer ??= setTimeout(() => this.kill(), this.#patience * 1000);
  }
}

/** The cores are shared out. A recipe's `threads`, and OMP_NUM_THREADS where it is set, say otherwise. */
function threadsOf(processes: number): Record<string, string> {
  if (process.env.OMP_NUM_THREADS) return {};
  return { OMP_NUM_THREADS: String(Math.max(1, Math.floor(availableParallelism() / processes))) };
}

function exitCodeOf({ status, signal }: Ended): number {
  if (signal !== null) return 128 + constants.signals[signal];
  return status ?? 1;
}

/** Why a process has failed. Those that share our output have said it there. */
function wordsOf(rank: number, { status, signal, errors }: Ended): string {
  const last = errors.trimEnd().split('\n').at(-1);
  if (status === null && signal === null) return errors;
  if (signal === 'SIGKILL') return 'it was killed, as the system does when there is not enough memory';
  const how = signal === null ? `exit code ${status}` : signal;
  if (rank === 0) return `${how}; its own words are above`;
  return last ? `${last} (${how})` : `${how}, without a word`;
}
