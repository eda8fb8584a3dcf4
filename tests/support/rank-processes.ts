/** Processes that are asked together, for tests, with the store in which they find each other. */
import { type ChildProcess, fork } from 'node:child_process';
import { TcpStore } from '@reanchor/torch';

export class RankProcesses implements AsyncDisposable {
  private constructor(
    readonly store: TcpStore,
    readonly children: readonly ChildProcess[],
  ) {}

  /** Starts a program so many times; each sends a message when it is ready. */
  static async start(program: URL, count: number): Promise<RankProcesses> {
    const store = await TcpStore.host({ host: '127.0.0.1', port: 0 });
    const children = Array.from({ length: count }, () =>
      fork(program, { execArgv: ['--expose-gc', '--import', 'tsx'] }),
    );
    await Promise.all(children.map((child) => new Promise((ready) => child.once('message', ready))));
    return new RankProcesses(store, children);
  }

  /** Sends each of the first `world` processes an order, and hears their answers. */
  ask<Answer>(world: number, orderOf: (rank: number) => object): Promise<Answer[]> {
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
        child.send(orderOf(rank));
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
