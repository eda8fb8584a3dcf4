import { setImmediate } from 'node:timers/promises';

/**
 * Lets what has come meanwhile be heard, a signal of the system among it, which work between two turns of the event
 * loop keeps waiting. Errors: the signal's reason once it is aborted.
 */
export async function unlessStopped(signal: AbortSignal | undefined): Promise<void> {
  await setImmediate();
  signal?.throwIfAborted();
}
