import { setImmediate as turn } from 'node:timers/promises';
import type { Clock } from '@reanchor/torch/host';

interface Sleeper {
  until: number;
  wake(): void;
}

/** A clock that stands still until it is moved on. Waits of up to `instant` milliseconds are over at the next turn. */
export class ManualClock implements Clock {
  #now = 0;
  #sleepers: Sleeper[] = [];
  /** All waits so far, in milliseconds. */
  readonly waits: number[] = [];

  constructor(readonly instant = 0) {}

  now(): number {
    return this.#now;
  }

  /** How many waits are under way. */
  get sleeping(): number {
    return this.#sleepers.length;
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    this.waits.push(ms);
    signal?.throwIfAborted();
    if (ms <= this.instant) return turn(undefined, signal ? { signal } : {});
    await new Promise<void>((resolve, reject) => {
      const sleeper = { until: this.#now + ms, wake: resolve };
      this.#sleepers.push(sleeper);
      signal?.addEventListener('abort', () => {
        this.#sleepers = this.#sleepers.filter((other) => other !== sleeper);
        reject(signal.reason);
      });
    });
  }

  /** Lets so many milliseconds pass at once. */
  advance(ms: number): void {
    this.#now += ms;
    const over = this.#sleepers.filter(({ until }) => until <= this.#now);
    this.#sleepers = this.#sleepers.filter(({ until }) => until > this.#now);
    for (const { wake } of over) wake();
  }

  /** Lets so many milliseconds pass, from one end of a wait to the next; who is woken may wait again on the way. */
  async elapse(ms: number): Promise<void> {
    const end = this.#now + ms;
    for (;;) {
      await turn();
      const next = Math.min(...this.#sleepers.map(({ until }) => until));
      this.advance(Math.min(next, end) - this.#now);
      if (next > end) break;
    }
    await turn();
  }
}

/** Resolved once something holds; looks at it whenever the event loop turns, however long that takes. */
export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await turn();
}
