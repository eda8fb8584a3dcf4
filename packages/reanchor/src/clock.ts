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

/**
 * A signal that is aborted with a reason after so many milliseconds, unless it is disposed before. What has come by
 * then is read first: work that blocks the event loop, such as a training step, runs timers before answers.
 */
export function timeLimit(clock: Clock, ms: number, reason: unknown): Disposable & { signal: AbortSignal } {
  const [abort, isDone] = [new AbortController(), new AbortController()];
  const over = () => {
    setImmediate(() => setImmediate(() => abort.abort(reason)));
  };
  clock.sleep(ms, isDone.signal).then(over, () => {});
  return { signal: abort.signal, [Symbol.dispose]: () => isDone.abort() };
}
