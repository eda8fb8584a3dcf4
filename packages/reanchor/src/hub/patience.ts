/** How long the Hub is waited for. */
import type { Clock } from '../clock.js';
import { UserError } from '../errors.js';

/** The Hub did not answer, or not now: the same may go well later, and what is in the cache can be used meanwhile. */
export class HubUnreachable extends UserError {
  override name = 'HubUnreachable';
}

/** Somebody who watches is told after so long without anything from the Hub. */
export const noticeMs = 5000;

/**
 * A file has to come at this rate at least; as many new bytes are what makes an attempt to continue it worth another.
 */
export const leastBytes = 1 << 16;
const leastBytesMs = 60_000;

/** What is waited with. */
export interface Waiting {
  /** The address that is waited for. */
  endpoint: string;
  clock: Clock;
  /** Without a byte for so long, nothing more is expected. */
  idleMs: number;
  /** Hears what has been waited for for {@link noticeMs}. */
  onWait?: ((line: string) => void) | undefined;
}

interface Limit {
  /** So long may be waited in all, */
  ms: number;
  /** and anew whenever so many bytes have come. */
  bytes: number;
  /** What is said of the Hub at the limit. */
  says: string;
}

/**
 * Waits for one answer, in pieces. Only the time in which a piece is waited for counts, not that in which it is used.
 */
export class Patience {
  #waitedMs = 0;
  #bytes = 0;
  #isTold = false;

  private constructor(
    private readonly waiting: Waiting,
    private readonly limit: Limit,
  ) {}

  /** For an answer that has to be whole in `ms`. */
  static forAnswer(waiting: Waiting, ms: number): Patience {
    const says = `has not finished its answer in ${ms / 1000} s`;
    return new Patience(waiting, { ms, bytes: Number.POSITIVE_INFINITY, says });
  }

  /** For a file, which may take its time as long as it comes on. */
  static forFile(waiting: Waiting): Patience {
    const says = `sends fewer than ${leastBytes} bytes in ${leastBytesMs / 1000} s`;
    return new Patience(waiting, { ms: leastBytesMs, bytes: leastBytes, says });
  }

  /** What is coming. Errors: HubUnreachable when that takes too long; those of what is coming. */
  async for<T>(coming: Promise<T>): Promise<T> {
    const { clock } = this.waiting;
    const begun = clock.now();
    const stop = new AbortController();
    try {
      return await Promise.race([coming, this.#end(stop.signal)]);
    } finally {
      stop.abort();
      this.#waitedMs += clock.now() - begun;
    }
  }

  /** The pieces that are coming. Errors: HubUnreachable when one takes too long; those of what is coming. */
  async *pieces(coming: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    const iterator = coming[Symbol.asyncIterator]();
    for (;;) {
      const { done, value } = await this.for(iterator.next());
      if (done) return;
      this.#bytes += value.length;
      if (this.#bytes >= this.limit.bytes) [this.#waitedMs, this.#bytes] = [0, 0];
      yield value;
    }
  }

  /** Fails when the time is over. */
  async #end(signal: AbortSignal): Promise<never> {
    const { clock, endpoint, idleMs } = this.waiting;
    const leftMs = Math.max(0, this.limit.ms - this.#waitedMs);
    const endMs = Math.min(idleMs, leftMs);
    // Of a file that comes slowly, its progress tells.
    const quietMs = this.limit.bytes === leastBytes ? 0 : this.#waitedMs;
    const noticeInMs = Math.min(endMs, Math.max(0, noticeMs - quietMs));
    await clock.sleep(noticeInMs, signal);
    if (noticeInMs < endMs) this.#tell();
    await clock.sleep(endMs - noticeInMs, signal);
    const says = idleMs <= leftMs ? `has sent nothing for ${idleMs / 1000} s` : this.limit.says;
    throw new HubUnreachable(
      `${endpoint} ${says}: check the network, or HF_ENDPOINT; HF_HUB_OFFLINE=1 uses what is in the cache`,
    );
  }

  #tell(): void {
    const { endpoint, onWait } = this.waiting;
    if (!this.#isTold) onWait?.(`waiting for ${endpoint} (${noticeMs / 1000} s by now)`);
    this.#isTold = true;
  }
}
