// Every way to divide a run among 1, 2 and 4 processes, with every method, every reference, and activations kept or
// computed again: in float64 events, final weights, reference and optimizer state are those of one process.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { shardModes } from '#reanchor/estimate/index.js';
import { expectEqualNumbers, runNumbers } from '../support/run-numbers.js';
import { expectEqualState, stateNumbers } from '../support/state-numbers.js';
import { tinyModel, tinyPairs } from '../support/training.js';
import { ranksOfTests } from '../support/training-ranks.js';

const { ranks, folder } = ranksOfTests(4, 'parallel-product');

const worlds = [1, 2, 4];
const methods = {
  dpo: { method: 'dpo' },
  ipo: { method: 'ipo' },
  kto: { method: 'kto' },
  aot: { method: 'dpo', loss: { type: 'aot' } },
};
const rules = {
  fixed: { update: 'fixed' },
  soft: { update: 'soft', alpha: 0.3 },
  hard: { update: 'hard', tau: 2 },
};
const references = [
  ...Object.entries(rules),
  ...(['fixed', 'hard'] as const).map((name) => [`${name}, cached`, { ...rules[name], storage: 'cached' }] as const),
];
const recipes = [
  ...Object.entries(methods).flatMap(([method, keys]) =>
    references.map(([name, reference]) => [`${method}, ${name}`, { ...keys, reference }] as const),
  ),
  ['sft', { method: 'sft' }] as const,
].flatMap(([name, keys]) =>
  [false, true].map(
    (activationCheckpointing) =>
      [`${name}${activationCheckpointing ? ', recomputed' : ''}`, { ...keys, activationCheckpointing }] as const,
  ),
);

// 7 rows a step, so that processes have unequally many, in micro-batches of unequal size.
const recipeOf = (keys: object, shard: string) =>
  JSON.stringify({
    ...{ model: tinyModel, data: { train: tinyPairs, limit: 40, validation: 5, maxLength: 48 } },
    ...{ batch: { size: 7, tokensPerMicroBatch: 200 }, evaluate: { every: 2 }, steps: 5, seed: 3, logEvery: 1 },
    ...{ optimizer: { lr: 1e-3, weightDecay: 0.1 }, precision: 'fp64', device: 'cpu', threads: 1 },
    ...{ checkpoint: { every: 5, keep: 1 }, parallel: { shard } },
    ...keys,
  });

let runs = 0;
let cases = 0;
test.each(recipes)(
  '%s',
  async (_, keys) => {
    const made = async (shard: string, world: number) => {
      const out = join(folder, `run-${runs++}`);
      const answers = await ranks.train(world, { recipe: recipeOf(keys, shard), out });
      expect(answers).toEqual(Array(world).fill({ isFinished: true, steps: 5 }));
      const found = { numbers: await runNumbers(out), state: await stateNumbers(out) };
      rmSync(out, { recursive: true });
      return found;
    };
    const expected = await made('none', 1);
    for (const shard of shardModes) {
      for (const world of worlds) {
        const { numbers, state } = await made(shard, world);
        expectEqualNumbers(numbers, expected.numbers);
        expectEqualState(state, expected.state);
        cases++;
      }
    }
  },
  1_800_000,
);

test('all of the product was run', () => {
  console.log(`${cases} runs compared with one process`);
  expect(cases).toBe(42 * shardModes.length * worlds.length);
});
