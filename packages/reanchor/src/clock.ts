/** Time, for code that waits. */
import type { Clock } from '@reanchor/torch/host';

export { type Clock, systemClock } from '@reanchor/torch/host';

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
