import { setTimeout as sleep } from 'node:timers/promises';

/** Time, for code that waits: that of the system, or in tests one that passes when they say so. */
export interface Clock {
  /** Milliseconds of a clock that nobody sets. */
  now(): number;
  /** Resolved after so many milliseconds; rejected once the signal is aborted. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  now: () => performance.now(),
  sleep: (ms, signal) => sleep(ms, undefined, signal ? { signal } : {}),
};
