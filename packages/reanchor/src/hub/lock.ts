/** One process at a time downloads a file. */

import { mkdir, open, readFile, rm, stat, utimes } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname } from 'node:path';
import { type Clock, systemClock } from '../clock.js';
import { writeError } from '../formats/atomic.js';
import { isAlive } from '../processes.js';

/** A lock whose holder has not touched it for so long is left over. */
const staleMs = 60_000;
const touchMs = 10_000;
const pollMs = 200;

/**
 * Runs `work` while no other process holds the lock file; one whose holder has ended, or fell silent, is taken over. The
 * locks of Python's huggingface_hub are of another kind: it never shares an unfinished file with us.
 */
export async function withLock<T>(
  file: string,
  work: () => Promise<T>,
  { signal, clock = systemClock }: { signal?: AbortSignal | undefined; clock?: Clock } = {},
): Promise<T> {
  await mkdir(dirname(file), { recursive: true }).catch((error) => {
    throw writeError(file, error);
  });
  while (!(await take(file))) {
    if (await isLeftOver(file)) await rm(file, { force: true });
    else await clock.sleep(pollMs, signal);
  }
  const touching = setInterval(() => {
    const now = new Date();
    utimes(file, now, now).catch(() => {});
  }, touchMs);
  touching.unref();
  try {
    return await work();
  } finally {
    clearInterval(touching);
    await rm(file, { force: true });
  }
}

async function take(file: string): Promise<boolean> {
  try {
    const handle = await open(file, 'wx');
    await handle.writeFile(JSON.stringify({ host: hostname(), pid: process.pid }));
    await handle.close();
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw writeError(file, error);
  }
}

async function isLeftOver(file: string): Promise<boolean> {
  try {
    const { mtimeMs } = await stat(file);
    if (Date.now() - mtimeMs > staleMs) return true;
    const { host, pid } = JSON.parse(await readFile(file, 'utf8')) as { host: string; pid: number };
    return host === hostname() && !isAlive(pid);
  } catch {
    // Gone, or just being written.
    return false;
  }
}
