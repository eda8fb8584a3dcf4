/** Sweeps that are killed at random moments: the command, or one of its processes. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startCommand } from './command.js';
import { tinyStudy } from './tiny-study.js';

/** A smaller study yet: no model is trained first, and there is one arm; steps are so many that kills hit them. */
export function killedStudy(folder: string, seeds: readonly number[]): string {
  mkdirSync(folder, { recursive: true });
  const text = tinyStudy(folder, 'arms: { dpo: { loss.beta: 0.1 } }')
    .replace(/ {2}sft:\n.*\n/, '')
    .replaceAll(`"\${stages.sft}"`, JSON.stringify(/model: (\S+), method: sft/.exec(tinyStudy(folder))![1]))
    .replace('over: pairs, seeds: [1, 2]', `over: pairs, seeds: [${seeds.join(', ')}]`)
    .replace('steps: 4', 'steps: 120\n  checkpoint: { every: 9 }')
    .replace('every: 2,', 'every: 30,');
  const file = join(folder, 'study.yaml');
  writeFileSync(file, text);
  return file;
}

/** The processes of a sweep that are at work. */
function workersOf(out: string): number[] {
  const folder = join(out, 'workers');
  if (!existsSync(folder)) return [];
  return readdirSync(folder).flatMap((name) => {
    try {
      return [(JSON.parse(readFileSync(join(folder, name), 'utf8')) as { pid: number }).pid];
    } catch {
      return [];
    }
  });
}

/**
 * Starts a sweep and kills it, or one of its processes, so many milliseconds after one of these has begun; returns what
 * was killed, or `ended` where it came to its end before.
 */
export async function killSweep(
  study: string,
  out: string,
  { ms, isChild }: { ms: number; isChild: boolean },
): Promise<'sweep' | 'process' | 'ended'> {
  const { child, ended } = startCommand(['sweep', study, '--out', out, '--jobs', '2']);
  let isOver = false;
  void ended.then(() => {
    isOver = true;
  });
  const known = new Set(workersOf(out));
  while (!isOver && workersOf(out).every((pid) => known.has(pid))) await sleep(20);
  await Promise.race([sleep(ms), ended]);
  if (isOver) return 'ended';
  const worker = workersOf(out).find((pid) => !known.has(pid));
  if (!isChild || worker === undefined) {
    child.kill('SIGKILL');
    await ended;
    return 'sweep';
  }
  try {
    process.kill(worker, 'SIGKILL');
  } catch {
    // It has just ended.
  }
  const { code, stderr } = await ended;
  if (code === 1 && !/failed: .*its process ended with SIGKILL/.test(stderr)) throw new Error(stderr);
  return 'process';
}
