// Processes that share a run end it early at the same step, and leave the best weights, however these are divided.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { train } from '#reanchor/driver/index.js';
import { parseRecipe } from '#reanchor/recipe/index.js';
import { expectEqualNumbers, runNumbers } from '../support/run-numbers.js';
import { tinyModel, tinyPairs } from '../support/training.js';
import { ranksOfTests } from '../support/training-ranks.js';

const { ranks, folder } = ranksOfTests(2, 'parallel-early-stop');

const recipeOf = (keys: object) =>
  JSON.stringify({
    ...{ model: tinyModel, method: 'dpo', data: { train: tinyPairs, validation: 24, maxLength: 64, limit: 60 } },
    ...{ batch: { size: 4 }, optimizer: { lr: 3e-3 }, schedule: { type: 'constant' }, evaluate: { every: 2 } },
    ...{ precision: 'fp64', device: 'cpu', threads: 1, steps: 24 },
    stop: { metric: 'rewards/accuracies', patience: 2 },
    checkpoint: { every: 2, keep: 1, best: 'rewards/accuracies', final: 'best' },
    ...keys,
  });

const alone = async (name: string, keys: object) => {
  const out = join(folder, name);
  const { steps } = await train({ recipe: parseRecipe(recipeOf(keys), { file: 'recipe.yaml', env: {} }), out });
  return { steps, card: cardOf(out), numbers: await runNumbers(out) };
};
const cardOf = (out: string) =>
  /^The (?:run|weights) .*$/gm.exec(readFileSync(join(out, 'final/README.md'), 'utf8'))?.[0];

test.each(['none', 'parameters'])('divided by %s, two end where one does and leave its weights', async (shard) => {
  const expected = await alone(`alone-${shard}`, {});
  expect(expected.steps).toBeLessThan(24);
  const out = join(folder, `two-${shard}`);
  const answers = await ranks.train(2, { recipe: recipeOf({ parallel: { shard } }), out });
  expect(answers).toEqual(Array(2).fill({ isFinished: true, steps: expected.steps }));
  expect(cardOf(out)).toBe(expected.card);
  expectEqualNumbers(await runNumbers(out), expected.numbers);
});

test('by what the policy writes, which rank 0 alone knows', async () => {
  const keys = {
    evaluate: { every: 2, generate: { prompts: 4, maxNewTokens: 6, metrics: ['length'] } },
    stop: { metric: 'length/mean', patience: 2, minGain: 100 },
    checkpoint: {},
  };
  const out = join(folder, 'written');
  const answers = await ranks.train(2, { recipe: recipeOf(keys), out });
  expect(answers).toEqual(Array(2).fill({ isFinished: true, steps: 4 }));
});
