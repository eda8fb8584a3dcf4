/** Being asked to end: by Ctrl-C, by the system, by a terminal that is closed. */
import { UserError } from '../errors.js';

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * A signal that is aborted by the first SIGINT, SIGTERM or SIGHUP, of which `onStop` hears before; the message of its
 * reason names it. From then on Ctrl-C and SIGTERM end the process at once, as they do where nobody listens. SIGHUP
 * does not: the system and the shell both send it when a terminal is closed. Disposed, it listens no longer.
 */
export function stopOnSignals(onStop: () => void = () => {}): Disposable & { signal: AbortSignal } {
  const stop = new AbortController();
  const listeners = signals.map((name) => ({ name, listener: () => onSignal(name) }));
  const onSignal = (given: (typeof signals)[number]) => {
    if (stop.signal.aborted) return;
    for (const { name, listener } of listeners) if (name !== 'SIGHUP') process.off(name, listener);
    onStop();
    stop.abort(new UserError(`stopped by ${given === 'SIGINT' ? 'Ctrl-C' : given}`));
  };
  for (const { name, listener } of listeners) process.on(name, listener);
  return {
    signal: stop.signal,
    [Symbol.dispose]: () => {
      for (const { name, listener } of listeners) process.off(name, listener);
    },
  };
}
