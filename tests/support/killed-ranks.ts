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
  // One is whole, and the next is being written.
  checkpoint: (out) => {
    const path = join(out, 'checkpoints');
    const names = existsSync(path) ? readdirSync(path) : [];
    return names.some((name) => name.includes('.tmp-')) && names.some((name) => /^step-\d+$/.test(name));
  },
};

/**
 * Trains in two processes and kills one of them, at a step this one; returns the last event, which rank 0 writes when
 * the other one is gone.
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
