/** A lock between processes that share the cache folder. */
import { join } from 'node:path';
import { cacheFolder } from './locate.js';
import { type Clock, withLock } from './lock-wait.js';

export type Log = (line: string) => void;

/** Runs `work` while no other process does so in this cache folder; `log` hears who is waited for. */
export function withSetupLock<T>(
  name: 'install' | 'build',
  { log, clock }: { log: Log; clock?: Clock | undefined },
  work: () => Promise<T>,
): Promise<T> {
  let isTold = false;
  const onWait = (holder: string) => {
    if (!isTold) log(`waiting for another setup (${holder})`);
    isTold = true;
  };
  return withLock(join(cacheFolder(), `${name}.lock`), { onWait, clock }, work);
}
