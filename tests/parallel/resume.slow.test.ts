// Runs of 1, 2 and 4 processes, divided in each way, that go on in each other: the numbers are those of one process,
// and where nothing is changed the bits are those of the run that was not stopped.
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { outcome } from '../support/resuming.js';
import { expectEqualNumbers, type RunNumbers, runNumbers } from '../support/run-numbers.js';
import { tinyModel, tinyPairs } from '../support/training.js';
import { ranksOfTests } from '../support/training-ranks.js';

const { ranks, folder } = ranksOfTests(4, 'parallel-resume');
const forms = [
  [1, 'none'],
  ...[2, 4].flatMap((world) =>
    ['none', 'optimizer', 'gradients', 'parameters'].map((shard): [number, string] => [world, shard]),
  ),
] as [number, string][];

const recipeOf = (shard: string) =>
  JSON.stringify({
    ...{ model: tinyModel, method: 'dpo', data: { train: tinyPairs, validation: 7, maxLength: 64 } },
    ...{ batch: { size: 7, tokensPerMicroBatch: 300 }, evaluate: { every: 3 }, steps: 5, seed: 3, logEvery: 1 },
    ...{ optimizer: { lr: 1e-3, weightDecay: 0.1 }, precision: 'fp64', device: 'cpu', threads: 1 },
    ...{ reference: { update: 'soft', alpha: 0.3 }, parallel: { shard } },
  });
const at = (...names: (string | number)[]) => join(folder, names.join('-'));

let expected: RunNumbers;
beforeAll(async () => {
  for (const [world, shard] of forms) {
    await ranks.train(world, { recipe: recipeOf(shard), out: at('whole', world, shard) });
    const stop = { rank: 0, step: 2 };
    await ranks.train(world, { recipe: recipeOf(shard), out: at('stopped', world, shard), stop });
  }
  expected = await runNumbers(at('whole', 1, 'none'));
});

test.each(forms)('stopped in %i processes, divided by %s', async (before, divided) => {
  for (const [after, shard] of forms) {
    const out = at(before, divided, 'to', after, shard);
    cpSync(at('stopped', before, divided), out, { recursive: true });
    const answers = await ranks.train(after, { recipe: recipeOf(shard), out, resume: true });
    expect(answers).toEqual(Array(after).fill({ isFinished: true, steps: 5 }));
    expectEqualNumbers(await runNumbers(out), expected);
    if (before === after && divided === shard) expect(outcome(out)).toEqual(outcome(at('whole', after, shard)));
  }
});
