/** Runs of two processes of which one is killed, and which then go on. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { TrainingRanks } from './training-ranks.js';

/** When a process is killed: as soon as the run has come so far, and so many milliseconds later. */
export interface Kill {
  rank: 0 | 1;
  when: 'step' | 'checkpoint';
  milliseconds?: number;
}

const hasText = (file: string, text: string) => existsSync(file) && readFileSync(file, 'utf8').includes(text);

/** Whether a run has come so far. */
const reached: Record<Kill['when'], (out: string, step: number) => boolean> = {
  step: (out, step) => hasText(join(out, 'events.jsonl'), `"type":"step","step":${step},`),
  // One is being written.
  checkpoint: (out) => {
    const path = join(out, 'checkpoints');
    return existsSync(path) && readdirSync(path).some((name) => name.includes('.tmp-'));
  },
};

/**
 * Trains in two processes, kills one of them after it has gone on beyond `step` and lets the run end; returns what the
 * other one wrote of it. A run that is done before is not killed.
 */
export async function killedRun(recipe: string, out: string, { rank, when, milliseconds = 0 }: Kill, step = 1) {
  await using pair = await TrainingRanks.start(2);
  let isOver = false;
  const running = pair.train(2, { recipe, out, resume: existsSync(out) }).then(
    () => (isOver = true),
    () => (isOver = true),
  );
  while (!isOver && !reached[when](out, step)) await sleep(1);
  await sleep(milliseconds);
  pair.children[rank]!.kill('SIGKILL');
  await running;
  const events = join(out, 'events.jsonl');
  // The one that is left notices within seconds, and rank 0 writes it down.
  for (
    let i = 0;
    rank === 1 && i < 1000 && !hasText(events, '"type":"failed"') && !hasText(events, '"type":"end"');
    i++
  )
    await sleep(20);
  return existsSync(events) ? readFileSync(events, 'utf8').trim().split('\n').at(-1)! : '';
}
