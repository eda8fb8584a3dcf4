// Runs that train an adapter in 2 and 3 processes beside the same run of one: events and factors.
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { train } from '#reanchor/driver/index.js';
import { parseRecipe } from '#reanchor/recipe/index.js';
import { expectEqualNumbers, runNumbers } from '../support/run-numbers.js';
import { tinyModel, tinyPairs } from '../support/training.js';
import { ranksOfTests } from '../support/training-ranks.js';

const { ranks, folder } = ranksOfTests(3, 'parallel-adapters');

const recipeOf = (rest: string) => `model: ${tinyModel}
data: { train: ${tinyPairs}, validation: 7, maxLength: 64, limit: 60 }
batch: { size: 7, tokensPerMicroBatch: 300 }
evaluate: { every: 3 }
optimizer: { lr: 5.0e-3 }
precision: fp64
device: cpu
threads: 1
steps: 4
seed: 3
${rest}`;

const cases = [
  ['lora, soft', 'method: dpo\nadapter: { r: 3 }\nreference: { update: soft, alpha: 0.3 }'],
  [
    'dora, hard, recomputed',
    'method: kto\nadapter: { type: dora, r: 2 }\nreference: { update: hard, tau: 2 }\nactivationCheckpointing: true',
  ],
  [
    'lora and norms, cached',
    'method: ipo\nadapter: { r: 2, modulesToSave: [norm] }\nreference: { update: hard, tau: 2, storage: cached }',
  ],
] as const;

test.each(cases)(
  '%s: with the base whole and divided, several processes come to the numbers of one',
  async (name, rest) => {
    const recipe = recipeOf(rest);
    const alone = join(folder, `${name} 1`);
    await train({ recipe: parseRecipe(recipe, { file: 'recipe.yaml', env: {} }), out: alone });
    const expected = await runNumbers(alone);
    for (const [world, shard] of [
      [2, 'none'],
      [3, 'parameters'],
    ] as const) {
      const out = join(folder, `${name} ${world}`);
      const answers = await ranks.train(world, { recipe: `${recipe}\nparallel: { shard: ${shard} }`, out });
      expect(answers).toEqual(Array(world).fill({ isFinished: true, steps: 4 }));
      expectEqualNumbers(await runNumbers(out), expected);
    }
  },
);

test('a run that divides the base goes on in one process', async () => {
  const recipe = recipeOf(`${cases[0][1]}\ncheckpoint: { every: 2 }`);
  const whole = join(folder, 'whole');
  await train({ recipe: parseRecipe(recipe, { file: 'recipe.yaml', env: {} }), out: whole });
  const out = join(folder, 'stopped');
  const divided = `${recipe}\nparallel: { shard: parameters }`;
  const stopped = await ranks.train(2, { recipe: divided, out, stop: { rank: 0, step: 3 } });
  expect(stopped).toEqual(Array(2).fill({ isFinished: false, steps: 3 }));
  expect(await ranks.train(1, { recipe, out, resume: true })).toEqual([{ isFinished: true, steps: 4 }]);
  expectEqualNumbers(await runNumbers(out), await runNumbers(whole));
});

test('a base of four bits is not divided', async () => {
  const recipe = `${recipeOf(cases[0][1])}\nquantize: nf4\nparallel: { shard: parameters }`;
  const answers = await ranks.train(2, { recipe, out: join(folder, 'refused') });
  for (const answer of answers) expect(JSON.stringify(answer)).toMatch(/weights of 4 bits are not divided/);
});
