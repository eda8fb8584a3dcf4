// Runs of which one process, or the folder, is lost: all end, the words name the cause, and what was saved goes on.
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { listCheckpoints, readEvents, verifyCheckpoint } from '#reanchor/runs/index.js';
import { outcome } from '../support/resuming.js';
import { tinyModel, tinyPairs } from '../support/training.js';
import { ranksOfTests, type TrainAnswer } from '../support/training-ranks.js';

const { ranks, folder } = ranksOfTests(3, 'parallel-failures');
let count = 0;
const place = () => join(folder, `run-${count++}`);

const recipeOf = (keys: object) =>
  JSON.stringify({
    ...{ model: tinyModel, method: 'dpo', data: { train: tinyPairs, limit: 36, validation: 6, maxLength: 64 } },
    ...{ batch: { size: 6, tokensPerMicroBatch: 300 }, evaluate: { every: 2 }, steps: 4, seed: 3, logEvery: 1 },
    ...{ reference: { update: 'soft', alpha: 0.3 }, checkpoint: { every: 2 }, device: 'cpu', threads: 1 },
    ...keys,
  });

const errorsOf = (answers: TrainAnswer[]) => answers.map((answer) => ('error' in answer ? answer.error : 'none'));

test.each([
  ['none', 'moved away'],
  ['parameters', 'deleted'],
])('weights divided by %s, the run folder is %s: a checkpoint is where it can be', async (shard, what) => {
  const recipe = recipeOf({ parallel: { shard }, checkpoint: { every: 'never' }, steps: 60 });
  const [out, moved] = [place(), place()];
  let isOver = false;
  const running = ranks.train(2, { recipe, out }).finally(() => (isOver = true));
  const events = join(out, 'events.jsonl');
  while (!isOver && !(existsSync(events) && readFileSync(events, 'utf8').includes('"type":"step"'))) await sleep(2);
  if (what === 'deleted') rmSync(out, { recursive: true });
  else renameSync(out, moved);
  const [first, second] = errorsOf(await running);
  const [, stopped] = /The run has stopped after step \d+ with a checkpoint in (\S+): to go on/.exec(first!)!;
  expect(what === 'deleted' || stopped === moved).toBe(true);
  expect(second).toContain('Rank 0 said: ');
  const [checkpoint] = listCheckpoints(join(stopped!, 'checkpoints'));
  await verifyCheckpoint(checkpoint!.path);
  // Other machines may not see where it is: then rank 0 writes alone, and the next one goes on all the same.
  expect(existsSync(join(checkpoint!.path, 'training/optimizer.safetensors'))).toBe(
    shard === 'none' || what === 'deleted',
  );
  const stop = { rank: 0, step: checkpoint!.step + 1 };
  const answers = await ranks.train(2, { recipe, out: stopped!, resume: true, stop });
  expect(answers).toEqual(Array(2).fill({ isFinished: false, steps: stop.step }));
  rmSync(stopped!, { recursive: true });
});

test('one process is asked to stop before the first step: all stop, without a failure', async () => {
  for (const rank of [0, 1]) {
    const answers = await ranks.train(2, { recipe: recipeOf({}), out: place(), stop: { rank, step: 0 } });
    const expected = ['another process of the run was asked to stop', 'another process of the run was asked to stop'];
    expected[rank] = 'asked to stop';
    expect(errorsOf(answers)).toEqual(expected);
  }
});

const divided = recipeOf({ parallel: { shard: 'parameters' }, checkpoint: { every: 1 } });

test('killed while pieces are written: the run goes on from what was saved, to the same bits', async () => {
  const [out, whole] = [place(), place()];
  await ranks.train(2, { recipe: divided, out: whole });
  const strike = { rank: 1, at: 'write .*step-000002.*optimizer-00002', n: 3, what: 'SIGKILL' } as const;
  const [first, second] = errorsOf(await ranks.train(2, { recipe: divided, out, strikes: [strike] }));
  expect(second).toBe('rank 1 has ended: SIGKILL');
  expect(first).toContain('no word from rank 1: killed, hung or still at work');
  for (const { path } of listCheckpoints(join(out, 'checkpoints'))) await verifyCheckpoint(path);
  const answers = await ranks.train(2, { recipe: divided, out, resume: true });
  expect(answers).toEqual(Array(2).fill({ isFinished: true, steps: 4 }));
  expect(outcome(out)).toEqual(outcome(whole));
});

/** Disks that are full for the pieces of these ranks. */
const full = (at: string, ...of: number[]) =>
  of.map((rank) => ({ rank, at: `look for .*${at}.*optimizer-0000${rank + 1}-of`, n: 1, what: 'full' as const }));

describe.skipIf(!existsSync('/dev/full'))('a disk that is full for some processes', () => {
  test('ends a run that has checkpoints by steps: all say whose it is, and what was saved goes on', async () => {
    const out = place();
    const errors = errorsOf(await ranks.train(3, { recipe: divided, out, strikes: full('step-000003', 1, 2) }));
    const words =
      /rank 1: \S*step-000003\/training\/optimizer-00002-of-00003.safetensors cannot be written: the disk is full \(ENOSPC\): .* \(rank 2 could not either\)/;
    for (const error of errors) expect(error).toMatch(words);
    expect(errors[0]).toMatch(/The checkpoints in .* take: step-000001 .*step-000002 /);
    expect(readdirSync(join(out, 'checkpoints'))).toEqual(['step-000001', 'step-000002']);
    const answers = await ranks.train(3, { recipe: divided, out, resume: true });
    expect(answers).toEqual(Array(3).fill({ isFinished: true, steps: 4 }));
  });

  test('leaves out a checkpoint by time, with a warning', async () => {
    const recipe = recipeOf({ parallel: { shard: 'optimizer' }, checkpoint: { every: '0.001s' } });
    const out = place();
    const answers = await ranks.train(2, { recipe, out, strikes: full('step-000001', 1) });
    expect(answers).toEqual(Array(2).fill({ isFinished: true, steps: 4 }));
    const warnings = readEvents(join(out, 'events.jsonl')).events.flatMap((event) =>
      event.type === 'warning' ? [event.message] : [],
    );
    expect(warnings).toContainEqual(
      expect.stringMatching(/^there is no checkpoint after step 1: rank 1: .*ENOSPC.*The run goes on without$/),
    );
    expect(readdirSync(join(out, 'checkpoints'))[0]).toBe('step-000002');
  });
});

test('processes that do not share a disk are refused before anything is made', async () => {
  const folders = [place(), place()];
  for (const path of folders) mkdirSync(path);
  const errors = errorsOf(await ranks.train(2, { recipe: recipeOf({}), out: 'run', folders }));
  for (const error of errors) {
    expect(error).toMatch(/^the run folder run is not on a disk that all processes share: rank 0 on .* rank 1 on /);
  }
  expect(folders.map((path) => readdirSync(path))).toEqual([[], []]);
});
