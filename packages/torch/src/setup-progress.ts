/** What is told of a step while another program is at it. */
import type { Hearing } from './setup-lock.js';

/**
 * Tells once a second how long `work` has taken by now, and what `detail` says of it. Returns what it does.
 */
export async function whileTold<T>(
  title: string,
  work: () => Promise<T>,
  { progress = () => {}, detail = () => '' }: Pick<Hearing, 'progress'> & { detail?: () => string },
): Promise<T> {
  const begin = performance.now();
  const timer = setInterval(() => {
    const words = detail();
    progress(`${title}: ${Math.round((performance.now() - begin) / 1000)}s${words && `, ${words}`}`);
  }, 1000);
  try {
    return await work();
  } finally {
    clearInterval(timer);
    progress(undefined);
  }
}

const megabytes = (bytes: number) => Math.round(bytes / 1e6);

/**
 * How far the download is that pip tells of, from the end of what it has written: `Progress BYTES of BYTES` since pip
 * 24.1 (with `--progress-bar raw`), before that the size alone; '' where it says nothing.
 */
export function downloadText(output: string): string {
  const end = output.slice(-4000);
  const [, done, all] = [...end.matchAll(/^Progress (\d+) of (\d+)$/gm)].at(-1) ?? [];
  if (done !== undefined) return `${megabytes(Number(done))} of ${megabytes(Number(all))} MB`;
  const size = [...end.matchAll(/^ *Downloading \S+ \(([\d.]+ [kMG]B)\)/gm)].at(-1)?.[1];
  return size === undefined ? '' : `downloading ${size}`;
}

/** Whether pip of this version, as `pip --version` says it, can write how far a download is. */
export function tellsProgress(version: string): boolean {
  const [, major = 0, minor = 0] = /^pip (\d+)\.(\d+)/m.exec(version) ?? [];
  return Number(major) > 24 || (Number(major) === 24 && Number(minor) >= 1);
}
