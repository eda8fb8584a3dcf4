/**
 * What changes, made into messages once for all pages that follow it. Each change has a number; a page that has seen
 * some of them gets those that it lacks, or the newest whole when it lacks too many.
 */
import { type Clock, systemClock } from '../clock.js';
import type { StreamEvents } from './api.js';

/** Changes that are kept for pages that are behind, in bytes. */
const mostKept = 1 << 22;

/** A message of an event stream, as it is sent. */
export type Message = Uint8Array;

export function message<Name extends keyof StreamEvents>(event: Name, data: StreamEvents[Name]): Message {
  return Buffer.from(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
}

export abstract class Feed {
  /** How often it has changed. */
  count = 0;
  #whole: Message | undefined;
  /** The newest changes, up to number `count`. */
  #changes: Message[] = [];
  readonly #followers = new Set<() => void>();
  #rest: AbortController | undefined;
  #failure: { error: unknown } | undefined;
  /** Followed by nobody after it was followed, or failed: it is not to be followed again. */
  isOver = false;

  constructor(protected readonly clock: Clock = systemClock) {}

  /** Looks for changes and publishes them; returns after how many milliseconds to look again. */
  protected abstract look(): Promise<number>;

  /** All that a page is to know; nothing need have been published yet. */
  protected abstract whole(): Message;

  /** Calls `onChange` after each change, until the result is disposed. It is looked for changes only meanwhile. */
  follow(onChange: () => void): Disposable {
    this.#followers.add(onChange);
    if (this.#followers.size === 1) void this.#run();
    return {
      [Symbol.dispose]: () => {
        this.#followers.delete(onChange);
        if (this.#followers.size > 0) return;
        this.isOver = true;
        this.#rest?.abort();
      },
    };
  }

  /** What one lacks who has seen `seen` changes. Errors: those of a look, after which there is no other. */
  since(seen: number): readonly Message[] {
    if (this.#failure) throw this.#failure.error;
    if (seen === this.count) return [];
    const first = this.count - this.#changes.length;
    if (seen >= first && seen > 0) return this.#changes.slice(seen - first);
    this.#whole ??= this.whole();
    return [this.#whole];
  }

  /** Tells of a change; without `change` it is told whole. */
  protected publish(change?: Message): void {
    this.count += 1;
    this.#whole = undefined;
    if (change) this.#changes.push(change);
    else this.#changes = [];
    let kept = this.#changes.reduce((sum, { length }) => sum + length, 0);
    while (kept > mostKept) kept -= this.#changes.shift()!.length;
    this.#wake();
  }

  async #run(): Promise<void> {
    try {
      while (!this.isOver) {
        const pause = await this.look();
        this.#rest = new AbortController();
        if (!this.isOver) await this.clock.sleep(pause, this.#rest.signal).catch(() => {});
      }
    } catch (error) {
      this.#failure = { error };
      this.isOver = true;
      this.#wake();
    }
  }

  #wake(): void {
    for (const onChange of [...this.#followers]) onChange();
  }
}

/** Sends what is new of the feeds, in the pace of the one who reads, until the signal is aborted. */
export async function sendFeeds(
  feeds: readonly Feed[],
  signal: AbortSignal,
  send: (message: Message) => Promise<unknown>,
): Promise<void> {
  const seen = feeds.map(() => 0);
  let wake = () => {};
  const onAbort = () => wake();
  signal.addEventListener('abort', onAbort);
  const follows = feeds.map((feed) => feed.follow(() => wake()));
  try {
    while (!signal.aborted) {
      const change = new Promise<void>((resolve) => {
        wake = resolve;
      });
      for (const [i, feed] of feeds.entries()) {
        const messages = feed.since(seen[i]!);
        seen[i] = feed.count;
        for (const message of messages) if (!signal.aborted) await send(message);
      }
      if (!signal.aborted && feeds.every(({ count }, i) => count === seen[i])) await change;
    }
  } finally {
    signal.removeEventListener('abort', onAbort);
    for (const follow of follows) follow[Symbol.dispose]();
  }
}
