/** Processes that run commands together as torchrun starts them, for tests. A file of tests shares them. */
import type { CommandAnswer } from './command-here.js';
import { answered, RankProcesses } from './rank-processes.js';

export interface CommandOrder {
  args: readonly string[];
  env: Readonly<Record<string, string>>;
}

export class CommandRanks implements AsyncDisposable {
  #orders = 0;

  private constructor(readonly processes: RankProcesses) {}

  static async start(count: number): Promise<CommandRanks> {
    return new CommandRanks(await RankProcesses.start(new URL('command-rank.ts', import.meta.url), count));
  }

  /** Runs a command in the first `world` processes; the answers by rank. */
  async run(
    world: number,
    argsOf: readonly string[] | ((rank: number) => readonly string[]),
  ): Promise<CommandAnswer[]> {
    const run = String(this.#orders++);
    const answers = await this.processes.ask<CommandAnswer>(world, (rank): CommandOrder => {
      const args = typeof argsOf === 'function' ? argsOf(rank) : argsOf;
      const place = { RANK: String(rank), LOCAL_RANK: String(rank) };
      const size = { WORLD_SIZE: String(world), LOCAL_WORLD_SIZE: String(world) };
      const store = { MASTER_ADDR: '127.0.0.1', MASTER_PORT: String(this.processes.store.port) };
      const agent = { TORCHELASTIC_USE_AGENT_STORE: 'True', TORCHELASTIC_RUN_ID: run };
      return { args, env: { ...place, ...size, ...store, ...agent } };
    });
    return answered(answers);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.processes[Symbol.asyncDispose]();
  }
}
