/** Processes for the tests of process groups. Starting one takes a second: a file of tests shares them. */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Answer, Order, tasks } from './rank-tasks.js';

type Tasks = typeof tasks;
type Rest<F> = F extends (rank: number, ...rest: infer R) => unknown ? R : never;
type Result<F> = F extends (...args: never[]) => infer R ? Awaited<R> : never;

/** An error of a task, with the seconds after which it was thrown. */
export class RankError extends Error {
  constructor(
    readonly kind: string,
    message: string,
    readonly peers: readonly number[] | undefined,
    readonly seconds: number,
  ) {
    super(message);
  }
}

export class Ranks {
  private readonly waiting = new Map<number, { done(value: unknown): void; fail(error: Error): void }>();
  private orders = 0;

  private constructor(readonly children: readonly ChildProcess[]) {
    for (const child of children) {
      child.on('message', ({ id, value, error, seconds }: Answer) => {
        const { done, fail } = this.waiting.get(id)!;
        this.waiting.delete(id);
        if (error) fail(new RankError(error.name, error.message, error.peers, seconds));
        else done(value);
      });
    }
  }

  /** Starts processes with one thread each. */
  static async start(count: number): Promise<Ranks> {
    const file = fileURLToPath(new URL('rank-process.ts', import.meta.url));
    const children = Array.from({ length: count }, () => fork(file, { execArgv: ['--import', 'tsx'] }));
    await Promise.all(children.map((child) => new Promise((ready) => child.once('message', ready))));
    return new Ranks(children);
  }

  /** Runs a task in one process. */
  run<K extends keyof Tasks>(rank: number, task: K, ...args: Rest<Tasks[K]>): Promise<Result<Tasks[K]>> {
    const id = this.orders++;
    return new Promise((done, fail) => {
      this.waiting.set(id, { done: done as (value: unknown) => void, fail });
      this.children[rank]!.send({ id, task, rank, args } satisfies Order);
    });
  }

  /** Runs a task in the first processes, with the same arguments. */
  all<K extends keyof Tasks>(count: number, task: K, ...args: Rest<Tasks[K]>): Promise<Result<Tasks[K]>[]> {
    return Promise.all(Array.from({ length: count }, (_, rank) => this.run(rank, task, ...args)));
  }

  end(): void {
    for (const child of this.children) child.kill('SIGKILL');
  }
}

/** The error of a promise that has to fail. */
export const errorOf = (promise: Promise<unknown>): Promise<RankError> =>
  promise.then(
    (value) => {
      throw new Error(`no error, but ${JSON.stringify(value)}`);
    },
    (error: RankError) => error,
  );
