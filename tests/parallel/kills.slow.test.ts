// kill -9 of any process of a run at any moment: the run goes on to the events and weights of the one that was not
// killed. Moments are named by what the process does, so that no machine is too fast or too slow for one.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { uniforms } from '#reanchor/random.js';
import { listCheckpoints, verifyCheckpoint } from '#reanchor/runs/index.js';
import type { Strike } from '../support/actions.js';
import { outcome } from '../support/resuming.js';
import { tinyModel, tinyPairs } from '../support/training.js';
import { ranksOfTests, type TrainAnswer } from '../support/training-ranks.js';

const { ranks, folder } = ranksOfTests(3, 'parallel-kills');

const recipeOf = (shard: string) =>
  JSON.stringify({
    ...{ model: tinyModel, method: 'dpo', data: { train: tinyPairs, validation: 6, maxLength: 64 } },
    ...{ batch: { size: 6, tokensPerMicroBatch: 300 }, evaluate: { every: 2 }, steps: 8, seed: 3, logEvery: 1 },
    ...{ reference: { update: 'soft', alpha: 0.3 }, checkpoint: { every: 1 }, device: 'cpu', threads: 1 },
    parallel: { shard },
  });

const actionsOf = (answer: TrainAnswer): string[] => {
  if ('error' in answer) throw new Error(answer.error);
  return answer.actions!;
};
const isOfCheckpoint = (action: string) => /\/checkpoints\//.test(action);

test.each([
  ['optimizer', 2],
  ['gradients', 3],
  ['parameters', 3],
] as const)('%s, %i processes: 17 kills', { timeout: 1_800_000 }, async (shard, world) => {
  const recipe = recipeOf(shard);
  const whole = join(folder, `${shard}-whole`);
  const told = await ranks.train(world, { recipe, out: whole, isTold: true });
  const actions = told.map(actionsOf);
  const random = uniforms(world, shard.length);
  const among = (count: number) => Math.floor(count * random());

  /**
   * A moment of a random process: of its life, or of its checkpoints. Of a whole run it is one of the first half; since
   * each kill is followed by a run from there, the second half has its turn too.
   */
  const moment = (): Strike => {
    const rank = among(world);
    const ofCheckpoints = actions[rank]!.filter(isOfCheckpoint);
    if (random() < 0.5) return { rank, at: '', n: 1 + among(actions[rank]!.length / 2), what: 'SIGKILL' };
    return { rank, at: '/checkpoints/', n: 1 + among(ofCheckpoints.length / 2), what: 'SIGKILL' };
  };

  let [kills, inCheckpoints] = [0, 0];
  for (let run = 0; kills < 17; run++) {
    const out = join(folder, `${shard}-${run}`);
    for (let isFinished = false; !isFinished; ) {
      const strike = moment();
      const answers = await ranks.train(world, { recipe, out, resume: true, strikes: [strike] });
      isFinished = answers.every((answer) => 'isFinished' in answer && answer.isFinished);
      if (isFinished) break;
      if (answers.some((answer) => 'error' in answer && /cut off before its first checkpoint/.test(answer.error))) {
        // What its message advises.
        rmSync(out, { recursive: true });
        continue;
      }
      expect(answers[strike.rank]).toEqual({ error: `rank ${strike.rank} has ended: SIGKILL` });
      kills += 1;
      if (strike.at !== '') inCheckpoints += 1;
    }
    expect(outcome(out)).toEqual(outcome(whole));
  }
  console.log(`${shard}: ${kills} kills, ${inCheckpoints} in checkpoints`);
  expect(inCheckpoints).toBeGreaterThanOrEqual(4);
});

test.each([
  ['while pieces are written', 1, 'write .*step-000002.*optimizer-00002', 3],
  ['before a whole checkpoint has its name', 0, 'rename .*step-000002[^/]*$', 1],
])('killed %s, rank %i: the run goes on from what was saved', async (_when, rank, at, n) => {
  const [whole, out] = ['whole', 'struck'].map((name) => join(folder, `${name}-${rank}`)) as [string, string];
  const recipe = recipeOf('parameters');
  await ranks.train(2, { recipe, out: whole });
  const answers = await ranks.train(2, { recipe, out, strikes: [{ rank, at, n, what: 'SIGKILL' }] });
  for (const [i, answer] of answers.entries()) {
    const words = i === rank ? 'has ended: SIGKILL' : 'killed, hung or still at work';
    expect(answer).toEqual({ error: expect.stringContaining(`rank ${rank}`) });
    expect(answer).toEqual({ error: expect.stringContaining(words) });
  }
  for (const { path } of listCheckpoints(join(out, 'checkpoints'))) await verifyCheckpoint(path);
  expect(await ranks.train(2, { recipe, out, resume: true })).toEqual(Array(2).fill({ isFinished: true, steps: 8 }));
  expect(outcome(out)).toEqual(outcome(whole));
});

test('a process that hangs while pieces are written is noticed by the others, who name it', async () => {
  const out = join(folder, 'hanging');
  const recipe = recipeOf('parameters');
  const hang = { rank: 1, at: 'write .*step-000002.*optimizer-00002', n: 2, what: 'SIGSTOP' } as const;
  const answers = await ranks.train(3, { recipe, out, strikes: [hang], timeoutSeconds: 8 });
  for (const rank of [0, 2]) {
    expect(answers[rank]).toEqual({
      error: expect.stringContaining('no word from rank 1: killed, hung or still at work'),
    });
  }
  expect(listCheckpoints(join(out, 'checkpoints')).map(({ step }) => step)).toEqual([1]);
});
