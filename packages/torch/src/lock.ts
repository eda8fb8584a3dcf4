/** A lock between processes that share the cache folder. */
import { randomUUID } from 'node:crypto';
import { linkSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { cacheFolder } from './locate.js';

export type Log = (line: string) => void;

/** Whether a process of this number runs. */
export const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
};

/** Runs `work` while no other process does so in this cache folder. A lock whose process has ended is taken over. */
export async function withLock<T>(name: string, log: Log, work: () => Promise<T>): Promise<T> {
  const file = join(cacheFolder(), `${name}.lock`);
  const mine = `${file}.${randomUUID()}`;
  try {
    // Linked into place, so that a lock never exists without its owner's number in it.
    writeFileSync(mine, String(process.pid));
    for (let told = false; ; told = true) {
      try {
        linkSync(mine, file);
        break;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      }
      const holder = readPid(file);
      if (holder !== undefined && !isAlive(holder)) {
        rmSync(file, { force: true });
      } else {
        if (!told) log(`waiting for another setup${holder === undefined ? '' : ` (process ${holder})`}`);
        await sleep(300);
      }
    }
  } finally {
    rmSync(mine, { force: true });
  }
  try {
    return await work();
  } finally {
    rmSync(file, { force: true });
  }
}

function readPid(file: string): number | undefined {
  try {
    return Number(readFileSync(file, 'utf8'));
  } catch {
    return undefined; // released in between
  }
}
