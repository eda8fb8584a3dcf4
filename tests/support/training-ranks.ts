/** Processes that train together, for tests. Starting one takes seconds: a file of tests shares them. */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { TcpStore } from '@reanchor/torch';
import type { MeasuredCall } from './measured-group.js';
import type { TraceNumbers, TraceOrder } from './trace-run.js';

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
}

/** What a process has sent, and the most bytes of tensors that it has held. */
export interface RankMeasures {
  calls: MeasuredCall[];
  peak: number;
}

export type TrainAnswer = { isFinished: boolean; steps: number; measures?: RankMeasures } | { error: string };

/** An order to one process, and its place among the others. */
export type RankOrder = (TrainOrder | TraceOrder) & { rank: number; world: number; port: number; group: string };

export class TrainingRanks implements AsyncDisposable {
  #orders = 0;

  private constructor(
    private readonly store: TcpStore,
    readonly children: readonly ChildProcess[],
  ) {}

  /** Starts processes of one thread each. */
  static async start(count: number): Promise<TrainingRanks> {
    const store = await TcpStore.host({ host: '127.0.0.1', port: 0 });
    const file = fileURLToPath(new URL('training-rank.ts', import.meta.url));
    const children = Array.from({ length: count }, () => fork(file, { execArgv: ['--expose-gc', '--import', 'tsx'] }));
    await Promise.all(children.map((child) => new Promise((ready) => child.once('message', ready))));
    return new TrainingRanks(store, children);
  }

  /** Trains with the first `world` processes. */
  train(world: number, order: TrainOrder): Promise<TrainAnswer[]> {
    return this.#run<TrainAnswer>(world, order);
  }

  /** Follows a trace with the first `world` processes. Errors: the first of theirs. */
  async follow(world: number, order: TraceOrder): Promise<TraceNumbers[]> {
    const answers = await this.#run<TraceNumbers | { error: string }>(world, order);
    return answers.map((answer) => {
      if ('error' in answer) throw new Error(answer.error);
      return answer;
    });
  }

  #run<Answer>(world: number, order: TrainOrder | TraceOrder): Promise<Answer[]> {
    const group = `run-${this.#orders++}`;
    return Promise.all(
      this.children.slice(0, world).map((child, rank) => {
        const answer = new Promise<Answer>((heard, fail) => {
          const exited = (code: number | null, signal: string | null) =>
            fail(new Error(`rank ${rank} has ended: ${signal ?? code}`));
          child.once('exit', exited).once('message', (message) => {
            child.off('exit', exited);
            heard(message as Answer);
          });
        });
        child.send({ ...order, rank, world, group, port: this.store.port } satisfies RankOrder);
        return answer;
      }),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const isRunning = ({ exitCode, signalCode }: ChildProcess) => exitCode === null && signalCode === null;
    // One that is not gone yet may still hold the lock of its run.
    await Promise.all(
      this.children.filter(isRunning).map((child) => {
        const gone = new Promise((heard) => child.once('exit', heard));
        child.kill('SIGKILL');
        return gone;
      }),
    );
    this.store.close();
  }
}
