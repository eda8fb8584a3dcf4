// Runs of which one process, or the folder, is lost: all end, the words name the cause, and what was saved goes on.
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { listCheckpoints, verifyCheckpoint } from '#reanchor/runs/index.js';
import { killedRun } from '../support/killed-ranks.js';
import { outcome } from '../support/resuming.js';
import { tinyModel, tinyPairs } from '../support/training.js';
import { type TrainAnswer, TrainingRanks } from '../support/training-ranks.js';

const folder = mkdtempSync(join(tmpdir(), 'parallel-failures-'));
let count = 0;
const place = () => join(folder, `run-${count++}`);
let ranks: TrainingRanks;
beforeAll(async () => {
  ranks = await TrainingRanks.start(2);
});
afterAll(async () => {
  await ranks[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

const recipeOf = (keys: object) =>
  JSON.stringify({
    ...{ model: tinyModel, method: 'dpo', data: { train: tinyPairs, validation: 6, maxLength: 64 } },
    ...{ batch: { size: 6, tokensPerMicroBatch: 300 }, evaluate: { every: 2 }, steps: 6, seed: 3, logEvery: 1 },
    ...{ reference: { update: 'soft', alpha: 0.3 }, checkpoint: { every: 2 }, device: 'cpu', threads: 1 },
    ...keys,
  });

const errorsOf = (answers: TrainAnswer[]) => answers.map((answer) => ('error' in answer ? answer.error : 'none'));

test.each(['none', 'parameters'])(
  'the run folder is moved away, weights divided by %s: a checkpoint is where it is now',
  async (shard) => {
    const recipe = recipeOf({ parallel: { shard }, checkpoint: { every: 'never' }, steps: 60 });
    const [out, moved] = [place(), place()];
    let isOver = false;
    const running = ranks.train(2, { recipe, out }).finally(() => (isOver = true));
    const events = join(out, 'events.jsonl');
    while (!isOver && !(existsSync(events) && readFileSync(events, 'utf8').includes('"type":"step"'))) await sleep(2);
    renameSync(out, moved);
    const [first, second] = errorsOf(await running);
    expect(first).toMatch(/The run has stopped after step \d+ with a checkpoint in .*run-\d+: to go on/);
    expect(second).toContain('Rank 0 said: ');
    const [checkpoint] = listCheckpoints(join(moved, 'checkpoints'));
    await verifyCheckpoint(checkpoint!.path);
  },
);

test('one process is asked to stop before the first step: all stop, without a failure', async () => {
  for (const rank of [0, 1]) {
    const answers = await ranks.train(2, { recipe: recipeOf({}), out: place(), stop: { rank, step: 0 } });
    const expected = ['another process of the run was asked to stop', 'another process of the run was asked to stop'];
    expected[rank] = 'asked to stop';
    expect(errorsOf(answers)).toEqual(expected);
  }
});

test.each([
  { rank: 1, when: 'step' },
  { rank: 0, when: 'checkpoint' },
  { rank: 1, when: 'checkpoint' },
] as const)('rank $rank is killed at a $when: the run goes on from what was saved, to the same bits', async (kill) => {
  const recipe = recipeOf({ parallel: { shard: 'parameters' }, checkpoint: { every: 1 } });
  const [whole, out] = [place(), place()];
  await ranks.train(2, { recipe, out: whole });
  const last = await killedRun(recipe, out, kill, 2);
  if (kill.rank === 1) expect(last).toMatch(/"type":"failed".*no word from rank 1: killed, hung or still at work/);
  const answers = await ranks.train(2, { recipe, out, resume: true });
  expect(answers).toEqual([
    { isFinished: true, steps: 6 },
    { isFinished: true, steps: 6 },
  ]);
  expect(outcome(out)).toEqual(outcome(whole));
});
