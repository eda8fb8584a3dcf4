/** Processes that are asked together, for tests, with the store in which they find each other. */
import { type ChildProcess, fork } from 'node:child_process';
import { TcpStore } from '@reanchor/torch';

/** What is heard of a process that ends before it answers. */
export interface EndedRank {
  error: string;
}

/** Answers as they are. Errors: that of the first process that has ended instead, or has answered with one. */
export function answered<Answer extends object>(answers: readonly (Answer | EndedRank)[]): Answer[] {
  return answers.map((answer) => {
    if ('error' in answer) throw new Error(answer.error);
    return answer;
  });
}

export class RankProcesses implements AsyncDisposable {
  /** Each, once it is ready; none where one has ended and no other was asked for yet. */
  readonly #ranks: (Promise<ChildProcess> | undefined)[];

  private constructor(
    private readonly program: URL,
    readonly store: TcpStore,
    count: number,
  ) {
    this.#ranks = Array.from({ length: count }, () => this.#start());
  }

  /** Starts a program so many times; each sends a message when it is ready. */
  static async start(program: URL, count: number): Promise<RankProcesses> {
    const processes = new RankProcesses(program, await TcpStore.host({ host: '127.0.0.1', port: 0 }), count);
    await Promise.all(processes.#ranks);
    return processes;
  }

  async #start(): Promise<ChildProcess> {
    // Most of what these processes do is done once: to compile it well takes longer than it saves.
    const child = fork(this.program, { execArgv: ['--expose-gc', '--no-opt', '--import', 'tsx'] });
    await new Promise((ready) => child.once('message', ready));
    return child;
  }

  /**
   * Sends each of the first `world` processes an order, and hears their answers. One that ends meanwhile answers with
   * that; the next order starts another in its place. `stopped` is a rank that will not answer: it is ended when the
   * others have.
   */
  async ask<Answer>(
    world: number,
    orderOf: (rank: number) => object,
    stopped?: number,
  ): Promise<(Answer | EndedRank)[]> {
    const ready = Array.from({ length: world }, (_, rank) => (this.#ranks[rank] ??= this.#start()));
    const children = await Promise.all(ready);
    const answers = children.map((child, rank) => {
      child.send(orderOf(rank));
      return new Promise<Answer | EndedRank>((heard) => {
        const exited = (code: number | null, signal: string | null) => {
          this.#ranks[rank] = undefined;
          heard({ error: `rank ${rank} has ended: ${signal ?? code}` });
        };
        child.once('exit', exited).once('message', (message) => {
          child.off('exit', exited);
          heard(message as Answer);
        });
      });
    });
    if (stopped !== undefined) {
      await Promise.all(answers.filter((_, rank) => rank !== stopped));
      children[stopped]!.kill('SIGKILL');
    }
    return await Promise.all(answers);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const children = (await Promise.all(this.#ranks)).filter((child) => child !== undefined);
    const isRunning = ({ exitCode, signalCode }: ChildProcess) => exitCode === null && signalCode === null;
    // One that is not gone yet may still hold the lock of its run.
    await Promise.all(
      children.filter(isRunning).map((child) => {
        const gone = new Promise((heard) => child.once('exit', heard));
        child.kill('SIGKILL');
        return gone;
      }),
    );
    this.store.close();
  }
}
