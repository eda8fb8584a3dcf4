/**
 * Taking turns: a benchmark's parent tells its children, one after the other, to work for a round. A child answers in
 * JSON lines: {"ready": true} when it is loaded, {"seconds", "loss", ...} after each round, {"peakBytes"} at the end.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { readSync } from 'node:fs';
import { createInterface } from 'node:readline';

const say = (message: object) => process.stdout.write(`${JSON.stringify(message)}\n`);

/** A child's side: blocks its own process until the parent sends a line. */
export class Rounds {
  #begun = 0;
  #cpuBegun = process.cpuUsage();
  #done = 0;
  #sums: Record<string, number> = {};

  constructor(
    readonly steps: number,
    readonly peakBytes: () => number,
  ) {}

  ready(): void {
    say({ ready: true });
    this.#wait();
  }

  step(metrics: Record<string, number>): void {
    for (const [name, value] of Object.entries(metrics)) this.#sums[name] = (this.#sums[name] ?? 0) + value;
    this.#done += 1;
    if (this.#done % this.steps !== 0) return;
    const means = Object.fromEntries(Object.entries(this.#sums).map(([name, sum]) => [name, sum / this.steps]));
    const { user, system } = process.cpuUsage(this.#cpuBegun);
    const seconds = (performance.now() - this.#begun) / 1000;
    say({ seconds, cpuSeconds: (user + system) / 1e6, metrics: means, peakBytes: this.peakBytes() });
    this.#sums = {};
    this.#wait();
  }

  #wait(): void {
    const byte = new Uint8Array(1);
    for (;;) {
      let read: number;
      try {
        read = readSync(0, byte);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'EAGAIN') continue;
        throw error;
      }
      if (read === 0) process.exit(0);
      if (byte[0] === 10) break;
    }
    this.#begun = performance.now();
    this.#cpuBegun = process.cpuUsage();
  }
}

export interface Round {
  seconds: number;
  /** Processor time, of all threads. */
  cpuSeconds: number;
  metrics: Record<string, number>;
  peakBytes: number;
}

/** The parent's side of one child. */
export class Player {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(command: string, args: readonly string[], env: NodeJS.ProcessEnv) {
    this.#child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'], env: { ...process.env, ...env } });
    this.#lines = createInterface({ input: this.#child.stdout! })[Symbol.asyncIterator]();
  }

  async ready(): Promise<void> {
    await this.#answer();
  }

  async play(): Promise<Round> {
    this.#child.stdin!.write('\n');
    return (await this.#answer()) as unknown as Round;
  }

  stop(): void {
    this.#child.stdin!.end();
    this.#child.kill();
  }

  /** The next line that is a message; what libraries print besides is passed over. */
  async #answer(): Promise<Record<string, unknown>> {
    for (;;) {
      const { value, done } = await this.#lines.next();
      if (done) throw new Error(`${this.#child.spawnargs.slice(0, 2).join(' ')} ended before it answered`);
      if (!value.startsWith('{"')) continue;
      return JSON.parse(value) as Record<string, unknown>;
    }
  }
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
