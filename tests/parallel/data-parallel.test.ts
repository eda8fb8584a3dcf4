// Runs of 2 to 4 processes beside the same run of one: events, final weights, and where they stop.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { train } from '#reanchor/driver/index.js';
import { parseRecipe } from '#reanchor/recipe/index.js';
import { fixtures } from '../support/repository.js';
import { expectEqualNumbers, runNumbers } from '../support/run-numbers.js';
import { expectTrace } from '../support/traces.js';
import { tinyModel, tinyPairs } from '../support/training.js';
import { type RankMeasures, ranksOfTests } from '../support/training-ranks.js';

const { ranks, folder } = ranksOfTests(4, 'data-parallel');

const recipeOf = (rest: string) => `model: ${tinyModel}
data: { train: ${tinyPairs}, limit: 45, validation: 7, maxLength: 64 }
batch: { size: 7, tokensPerMicroBatch: 300 }
evaluate: { every: 3 }
optimizer: { lr: 1.0e-3, weightDecay: 0.1 }
precision: fp64
device: cpu
threads: 1
steps: 5
seed: 3
${rest}`;

const alone = async (recipe: string, name: string) => {
  const out = join(folder, name);
  await train({ recipe: parseRecipe(recipe, { file: 'recipe.yaml', env: {} }), out });
  return await runNumbers(out);
};

// A sample of the product of methods, references and divisions; product.slow.test.ts has all of it.
test.each([
  ['dpo, soft', 'method: dpo\nreference: { update: soft, alpha: 0.3 }', ['none 3', 'parameters 2']],
  [
    'dpo, hard and cached, recomputed',
    'method: dpo\nreference: { update: hard, tau: 2, storage: cached }\nactivationCheckpointing: true',
    ['none 2', 'gradients 3'],
  ],
  ['kto, hard', 'method: kto\nreference: { update: hard, tau: 3 }', ['none 2', 'optimizer 3']],
  [
    'aot over the step',
    'method: dpo\nloss: { type: aot }\nreference: { update: plateau, metric: margin, patience: 1, minGain: 0 }',
    ['none 3', 'parameters 2'],
  ],
])('%s: 2 and 3 processes, whatever they divide, come to the numbers of one', async (name, rest, divisions) => {
  const recipe = recipeOf(rest);
  const expected = await alone(recipe, `${name} 1`);
  for (const division of divisions) {
    const [shard, count] = division.split(' ');
    const world = Number(count);
    const out = join(folder, `${name} ${division}`);
    const answers = await ranks.train(world, { recipe: `${recipe}\nparallel: { shard: ${shard} }`, out });
    expect(answers).toEqual(Array(world).fill({ isFinished: true, steps: 5 }));
    expectEqualNumbers(await runNumbers(out), expected);
  }
});

// 56 answers of 7 prompts: two batches, of which two processes write one each.
const answers = 'evaluate: { every: 3, generate: { prompts: 7, samples: 8, maxNewTokens: 6 } }';

test.each([
  ['a whole policy', '', ['none 2', 'gradients 3', 'parameters 2']],
  ['an adapter', 'adapter: { r: 4 }', ['none 2', 'parameters 3']],
])(
  'answers at evaluations of %s are those of one process, and so is their KL, a resumed run included',
  async (...of) => {
    const [name, keys, divisions] = of;
    const rest = `method: dpo\nreference: { update: soft, alpha: 0.3 }\nlogEvery: 1\n${keys}`;
    const recipe = recipeOf(rest).replace('evaluate: { every: 3 }', answers);
    const expected = await alone(recipe, `answers of ${name} 1`);
    expect(expected.metrics.get('evaluation 3 kl/reference')).toBeGreaterThan(0);
    for (const division of divisions) {
      const [shard, count] = division.split(' ');
      const world = Number(count);
      const divided = `${recipe}\nparallel: { shard: ${shard} }`;
      const out = join(folder, `answers of ${name} ${division}`);
      const stopped = await ranks.train(world, { recipe: divided, out, stop: { rank: 0, step: 2 } });
      expect(stopped).toEqual(Array(world).fill({ isFinished: false, steps: 2 }));
      const finished = await ranks.train(world, { recipe: divided, out, resume: true });
      expect(finished).toEqual(Array(world).fill({ isFinished: true, steps: 5 }));
      expectEqualNumbers(await runNumbers(out), expected);
    }
  },
);

test('one process is asked to stop: all stop after the same step, and any number of them goes on', async () => {
  const recipe = recipeOf('method: dpo\nreference: { update: hard, tau: 2, storage: cached }\nlogEvery: 1');
  const expected = await alone(recipe, 'whole');
  for (const [before, after] of [
    [2, 3],
    [3, 1],
  ] as const) {
    const out = join(folder, `stopped ${before} ${after}`);
    const stopped = await ranks.train(before, { recipe, out, stop: { rank: 0, step: 3 } });
    expect(stopped).toEqual(Array(before).fill({ isFinished: false, steps: 3 }));
    expect(await ranks.train(after, { recipe, out, resume: true })).toEqual(
      Array(after).fill({ isFinished: true, steps: 5 }),
    );
    expectEqualNumbers(await runNumbers(out), expected);
  }
  // A run that is finished is left as it is, by all.
  const finished = await ranks.train(3, { recipe, out: join(folder, 'stopped 2 3'), resume: true });
  expect(finished).toEqual(Array(3).fill({ isFinished: true, steps: 5 }));
  expectEqualNumbers(await runNumbers(join(folder, 'stopped 2 3')), expected);
});

test('what ends one process ends all, with its words', async () => {
  const recipe = recipeOf('method: dpo');
  const out = join(folder, 'used');
  mkdirSync(out);
  writeFileSync(join(out, 'file'), '');
  const used = (await ranks.train(2, { recipe, out })) as { error: string }[];
  expect(used[0]!.error).toMatch(/used .*(is not empty|another folder)/);
  expect(used[1]!.error).toContain('Rank 0 said: ');

  const other = (await ranks.train(2, {
    recipe,
    out: join(folder, 'other'),
    other: recipe.replace('maxLength: 64', 'maxLength: 32'),
  })) as { error: string }[];
  expect(other[1]!.error).toMatch(/^data.maxLength: rank 1 reads something else than rank 0/);
  expect(other[0]!.error).toContain('Rank 1 said: ');

  const many = (await ranks.train(3, { recipe: recipe.replace('size: 7', 'size: 2'), out: join(folder, 'many') })) as {
    error: string;
  }[];
  expect(many.map(({ error }) => error)).toEqual(Array(3).fill(expect.stringContaining('batch.size')));
});

test('replicas: groups that each have a whole model come to the same numbers, and any others go on', async () => {
  const recipe = recipeOf('method: dpo\nreference: { update: soft, alpha: 0.3 }');
  const expected = await alone(recipe, 'replicas 1');
  const run = (world: number, parallel: string, rest: { out: string; stop?: { rank: number; step: number } }) =>
    ranks.train(world, { recipe: `${recipe}\nparallel: ${parallel}`, ...rest });
  const out = join(folder, 'replicas');
  const stopped = await run(4, '{ shard: parameters, replicas: 2 }', { out, stop: { rank: 0, step: 3 } });
  expect(stopped).toEqual(Array(4).fill({ isFinished: false, steps: 3 }));
  const gradients = `${recipe}\nparallel: { shard: gradients }`;
  const finished = await ranks.train(3, { recipe: gradients, out, resume: true });
  expect(finished).toEqual(Array(3).fill({ isFinished: true, steps: 5 }));
  expectEqualNumbers(await runNumbers(out), expected);
  const [refused] = (await run(3, '{ shard: gradients, replicas: 2 }', { out: join(folder, 'three') })) as {
    error: string;
  }[];
  expect(refused!.error).toMatch('parallel.replicas is 2, and the 3 processes cannot be divided by it');
});

test('gradients travel in the dtype of parallel.reduce', async () => {
  for (const shard of ['none', 'gradients']) {
    const sent = async (reduce: string) => {
      const parallel = `{ shard: ${shard}${reduce} }`;
      const one = recipeOf('method: dpo').replace('fp64', 'fp32').replace('steps: 5', 'steps: 1');
      const recipe = `${one}\nparallel: ${parallel}`;
      const [answer] = await ranks.train(2, { recipe, out: join(folder, parallel), isMeasured: true });
      const { calls } = (answer as { measures: RankMeasures }).measures;
      const sums = calls.filter(({ name }) => name === 'reduceScatter' || name === 'allReduce_');
      return sums.reduce((bytes, call) => bytes + call.bytes, 0);
    };
    expect(await sent(', reduce: bfloat16')).toBe((await sent('')) / 2);
  }
});

test('2 processes that divide all follow a trace of TRL as closely as one', async () => {
  const order = {
    ...{ trace: join(fixtures, 'traces/tr-dpo-soft'), model: tinyModel, out: join(folder, 'trace') },
    ...({ dtype: 'float32', shard: 'parameters' } as const),
  };
  for (const numbers of await ranks.follow(2, order)) await expectTrace(order, numbers);
});
