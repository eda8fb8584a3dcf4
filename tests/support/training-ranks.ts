/** Processes that train together, for tests. Starting one takes seconds: a file of tests shares them. */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { TcpStore } from '@reanchor/torch';
import type { Strike } from './actions.js';
import type { MeasuredCall } from './measured-group.js';

/** A run that all processes of an order make. */
export interface TrainOrder {
  recipe: string;
  /** The recipe of rank 1, where it has another one. */
  other?: string;
  out: string;
  resume?: boolean;
  /** The optimizer step after which this rank, and no other, is asked to stop; 0 is before it begins. */
  stop?: { rank: number; step: number };
  /** Whether the answers have what was sent and held. */
  isMeasured?: boolean;
  /** What happens to processes on the way. */
  strikes?: readonly Strike[];
  /** Whether the answers have what was done. */
  isTold?: boolean;
  /** How long a process waits for the others. */
  timeoutSeconds?: number;
  /** The working folder of each process; that of the tests when left out. */
  folders?: readonly string[];
}

/** What a process has sent, and the most bytes of tensors that it has held. */
export interface RankMeasures {
  calls: MeasuredCall[];
  peak: number;
}

export type TrainAnswer =
  | { isFinished: boolean; steps: number; measures?: RankMeasures; actions?: string[] }
  | { error: string };

export interface RankOrder extends TrainOrder {
  rank: number;
  world: number;
  port: number;
  group: string;
}

export class TrainingRanks implements AsyncDisposable {
  readonly #store: TcpStore;
  /** Each, once it is ready. */
  readonly #ranks: Promise<ChildProcess>[];
  #orders = 0;

  private constructor(store: TcpStore, count: number) {
    this.#store = store;
    this.#ranks = Array.from({ length: count }, () => startRank());
  }

  /** Starts processes of one thread each. */
  static async start(count: number): Promise<TrainingRanks> {
    const ranks = new TrainingRanks(await TcpStore.host({ host: '127.0.0.1', port: 0 }), count);
    await Promise.all(ranks.#ranks);
    return ranks;
  }

  /** Trains with the first `world` processes. One that ends meanwhile answers with that, and another takes its place. */
  async train(world: number, order: TrainOrder): Promise<TrainAnswer[]> {
    const group = `run-${this.#orders++}`;
    const children = await Promise.all(this.#ranks.slice(0, world));
    const answers = children.map((child, rank) => {
      child.send({ ...order, rank, world, group, port: this.#store.port } satisfies RankOrder);
      return new Promise<TrainAnswer>((heard) => {
        const exited = (code: number | null, signal: string | null) => {
          this.#ranks[rank] = startRank();
          heard({ error: `rank ${rank} has ended: ${signal ?? code}` });
        };
        child.once('exit', exited).once('message', (message) => {
          child.off('exit', exited);
          heard(message as TrainAnswer);
        });
      });
    });
    const stopped = order.strikes?.find(({ what }) => what === 'SIGSTOP')?.rank;
    if (stopped !== undefined) {
      await Promise.all(answers.filter((_, rank) => rank !== stopped));
      children[stopped]!.kill('SIGKILL');
    }
    return await Promise.all(answers);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const children = await Promise.all(this.#ranks);
    const isRunning = ({ exitCode, signalCode }: ChildProcess) => exitCode === null && signalCode === null;
    // One that is not gone yet may still hold the lock of its run.
    await Promise.all(
      children.filter(isRunning).map((child) => {
        const gone = new Promise((heard) => child.once('exit', heard));
        child.kill('SIGKILL');
        return gone;
      }),
    );
    this.#store.close();
  }
}

async function startRank(): Promise<ChildProcess> {
  const file = fileURLToPath(new URL('training-rank.ts', import.meta.url));
  const child = fork(file, { execArgv: ['--expose-gc', '--import', 'tsx'] });
  await new Promise((ready) => child.once('message', ready));
  return child;
}
