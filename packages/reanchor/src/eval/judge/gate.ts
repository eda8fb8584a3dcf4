/** How many pass at once, and when. */
import { type Clock, systemClock } from '../../clock.js';

/** Lets `width` tasks run at once, and holds all of them when a server asks for a pause. */
export class Gate {
  readonly #waiting: (() => void)[] = [];
  #free: number;
  #heldUntil = 0;

  constructor(
    width: number,
    private readonly clock: Clock = systemClock,
  ) {
    this.#free = width;
  }

  /** Runs the task when it is its turn. */
  async pass<T>(task: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((admit) => this.#waiting.push(admit));
    try {
      return await task();
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#free++;
    }
  }

  /** Holds everybody for so long from now. */
  holdFor(ms: number): void {
    this.#heldUntil = Math.max(this.#heldUntil, this.clock.now() + ms);
  }

  /** Resolved when nobody is held. */
  async calm(): Promise<void> {
    const left = () => this.#heldUntil - this.clock.now();
    for (let ms = left(); ms > 0; ms = left()) await this.clock.sleep(ms);
  }
}

/**
 * `work` of every item, in their order, with at most `width` under way. After a failure nothing new is begun; what is
 * under way is waited for, then the first error is thrown.
 */
export async function mapConcurrently<T, R>(
  items: readonly T[],
  width: number,
  work: (item: T, index: number) => Promise<R>,
): Promise<R[]> {
  const results = new Array<R>(items.length);
  const errors: unknown[] = [];
  let next = 0;
  const worker = async () => {
    while (next < items.length && errors.length === 0) {
      const index = next++;
      try {
        results[index] = await work(items[index]!, index);
      } catch (error) {
        errors.push(error);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, worker));
  if (errors.length > 0) throw errors[0];
  return results;
}
