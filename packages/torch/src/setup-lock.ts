/** A lock between processes that share the cache folder. */
import { join } from 'node:path';
import { cacheFolder } from './locate.js';
import { type Clock, withLock } from './lock-wait.js';

export type Log = (line: string) => void;

/** Who hears of the steps of a setup. */
export interface Hearing {
  /** Gets one line for each step that takes time, and one for the result. */
  log?: Log | undefined;
  /**
   * Gets once a second how long a step has taken and, of a download, how much there is, for a line that is rewritten;
   * undefined when the step is done.
   */
  progress?: ((text: string | undefined) => void) | undefined;
}

/** Runs `work` while no other process does so in this cache folder; `log` hears who is waited for. */
export function withSetupLock<T>(
  name: 'install' | 'build',
  { log = () => {}, clock }: { log?: Log | undefined; clock?: Clock | undefined },
  work: () => Promise<T>,
): Promise<T> {
  let isTold = false;
  const onWait = (holder: string) => {
    if (!isTold) log(`waiting for another setup (${holder})`);
    isTold = true;
  };
  return withLock(join(cacheFolder(), `${name}.lock`), { onWait, clock }, work);
}
