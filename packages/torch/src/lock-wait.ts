/** Work that one process at a time does, while the others wait. */
import { statSync, utimesSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { holderText, removeLock, takeLock } from './lock-file.js';

/** The holder touches its lock so often; one that has not been touched for so long has nobody behind it. */
const touchMs = 10_000;
const silentMs = 60_000;
/** So long a lock can be seen half written. */
const unwrittenMs = 2000;
const pollMs = 200;

/** Time, for code that waits: that of the system, or in tests one that passes when they say so. */
export interface Clock {
  /** Milliseconds of a clock that nobody sets. */
  now(): number;
  /** Resolved after so many milliseconds; rejected once the signal is aborted. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** The clock of the system. */
export const systemClock: Clock = {
  now: () => performance.now(),
  sleep: (ms, signal) => setTimeout(ms, undefined, signal ? { signal } : {}),
};

/** How a lock is waited for. */
export interface WaitOptions {
  /** Hears who is waited for, and for how long by now, at once and then several times a second. */
  onWait?: ((holder: string, waitedMs: number) => void) | undefined;
  signal?: AbortSignal | undefined;
  clock?: Clock | undefined;
}

/**
 * Runs `work` while this process holds the lock file. Where another one does, it is waited for: until its process is
 * gone, or, where that cannot be seen, its lock has not been touched for a minute, or is no whole lock for two seconds.
 * So every wait ends, whatever is in the file. Errors: the system's, those of `work`, the reason of `signal`.
 */
export async function withLock<T>(path: string, options: WaitOptions, work: () => Promise<T>): Promise<T> {
  using _lock = await awaitLock(path, options);
  const touching = setInterval(() => touch(path), touchMs);
  touching.unref();
  try {
    return await work();
  } finally {
    clearInterval(touching);
  }
}

async function awaitLock(path: string, { onWait, signal, clock = systemClock }: WaitOptions): Promise<Disposable> {
  const begun = clock.now();
  let seen = '';
  let since = begun;
  for (;;) {
    signal?.throwIfAborted();
    const taken = takeLock(path);
    if (Symbol.dispose in taken) return taken;
    const now = clock.now();
    const { text, holder } = taken;
    const sign = `${text} ${statSync(path, { throwIfNoEntry: false })?.mtimeMs}`;
    if (sign !== seen) [seen, since] = [sign, now];
    else if (now - since > (holder === undefined ? unwrittenMs : silentMs)) {
      removeLock(path, text);
      continue;
    }
    onWait?.(holderText(taken), now - begun);
    await clock.sleep(pollMs, signal);
  }
}

function touch(path: string): void {
  const now = new Date();
  try {
    utimesSync(path, now, now);
  } catch {
    // The lock was taken away: its next holder works beside this one, each in a place of its own.
  }
}
