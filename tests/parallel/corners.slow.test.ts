// Recipes at the corners, on several processes: what they come to is what one process comes to.
import { cpSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { train } from '#reanchor/driver/index.js';
import { loadModel } from '#reanchor/models/load.js';
import { parseRecipe } from '#reanchor/recipe/index.js';
import { readEvents } from '#reanchor/runs/index.js';
import { poisoned } from '../support/poisoned.js';
import { otherLlama, outcome, tinyModelOf } from '../support/resuming.js';
import { expectEqualNumbers, runNumbers } from '../support/run-numbers.js';
import { tinyModel, tinyPairs, weights } from '../support/training.js';
import { ranksOfTests } from '../support/training-ranks.js';

const { ranks, folder } = ranksOfTests(3, 'parallel-corners');
let count = 0;
const place = () => join(folder, `run-${count++}`);

/** Each way to divide, with a number of processes. */
const divisions = [
  ['none', 2],
  ['optimizer', 3],
  ['gradients', 2],
  ['parameters', 3],
] as const;

const recipeOf = (keys: object) =>
  JSON.stringify({
    ...{ model: tinyModel, method: 'dpo', data: { train: tinyPairs, validation: 7, maxLength: 64 } },
    ...{ batch: { size: 7, tokensPerMicroBatch: 300 }, evaluate: { every: 2 }, steps: 4, seed: 3 },
    ...{ optimizer: { lr: 1e-3, weightDecay: 0.1 }, precision: 'fp64', device: 'cpu', threads: 1 },
    ...keys,
  });

const alone = async (keys: object) => {
  const out = place();
  await train({ recipe: parseRecipe(recipeOf(keys), { file: 'recipe.yaml', env: {} }), out });
  return await runNumbers(out);
};

/** A model of the policy's shapes that computes otherwise. */
async function otherConfig(): Promise<string> {
  const path = join(folder, 'other-config');
  cpSync(await otherLlama(folder), path, { recursive: true });
  const file = join(path, 'config.json');
  const config = { ...JSON.parse(readFileSync(file, 'utf8')), rms_norm_eps: 0.1 };
  writeFileSync(file, JSON.stringify(config));
  return path;
}

function someLines(name: string, lines: (rows: string[]) => string[]): string {
  const path = join(folder, name);
  writeFileSync(path, `${lines(readFileSync(tinyPairs, 'utf8').trim().split('\n')).join('\n')}\n`);
  return path;
}

const asText = (line: string) => {
  const { chosen } = JSON.parse(line) as { chosen: string };
  return JSON.stringify({ prompt: chosen.slice(0, 20), completion: chosen.slice(20) });
};

const corners: Record<string, () => Promise<object> | object> = {
  'a reference of another model, with a config of its own': async () => ({
    reference: { update: 'soft', alpha: 0.3, model: await otherConfig() },
  }),
  'a cached reference of another model': async () => ({
    reference: { update: 'hard', tau: 2, storage: 'cached', model: await otherConfig() },
  }),
  'GPT-NeoX, whose head is not tied': async () => ({
    model: await tinyModelOf('gpt-neox', folder),
    reference: { update: 'mixed', alpha: 0.3, alphaWarmup: 3, tau: 3 },
  }),
  'IPO, soft with a cap': () => ({
    method: 'ipo',
    reference: { update: 'soft', alpha: 0.6, maxDivergence: 0.01 },
  }),
  'AOT over micro-batches, recomputed': () => ({
    ...{ loss: { type: 'aot_unpaired', over: 'microBatch' }, batch: { size: 7, rowsPerMicroBatch: 1 } },
    activationCheckpointing: true,
  }),
  'AOT over the step, a plateau of the margin': () => ({
    loss: { type: 'aot' },
    reference: { update: 'plateau', metric: 'margin', patience: 1, minGain: 0 },
  }),
  'a plateau of the accuracy': () => ({
    evaluate: { every: 1 },
    reference: { update: 'plateau', metric: 'accuracy', patience: 1, minGain: 0.01, resetOptimizer: true },
  }),
  SFT: () => ({
    method: 'sft',
    data: { train: someLines('texts.jsonl', (rows) => rows.slice(0, 40).map(asText)), validation: 5, maxLength: 64 },
  }),
  'steps and validation of one row, logged by threes': () => ({
    data: { train: someLines('few.jsonl', (rows) => rows.slice(0, 10)), validation: 1, maxLength: 64 },
    ...{ batch: { size: 4, tokensPerMicroBatch: 200 }, epochs: 2, steps: undefined, logEvery: 3 },
    reference: { update: 'hard', tau: 3, resetOptimizer: true },
  }),
};

test.each(Object.keys(corners))('%s', async (name) => {
  const keys = await corners[name]!();
  const expected = await alone(keys);
  for (const [shard, world] of divisions) {
    const out = place();
    const answers = await ranks.train(world, { recipe: recipeOf({ ...keys, parallel: { shard } }), out });
    expect(answers[0]).toMatchObject({ isFinished: true });
    expectEqualNumbers(await runNumbers(out), expected);
  }
});

test('rows that come twice in a step have one cached log-probability, on all processes', async () => {
  const keys = {
    data: { train: [{ source: someLines('twice.jsonl', (rows) => rows.slice(0, 8)), weight: 2.5 }], maxLength: 64 },
    ...{ batch: { size: 9, tokensPerMicroBatch: 200 }, evaluate: undefined, logEvery: 1 },
    reference: { update: 'hard', tau: 2, storage: 'cached' },
    parallel: { shard: 'parameters' },
  };
  const [whole, stopped] = [place(), place()];
  await ranks.train(3, { recipe: recipeOf(keys), out: whole });
  await ranks.train(3, { recipe: recipeOf(keys), out: stopped, stop: { rank: 0, step: 1 } });
  // Now all have what rank 0 has written.
  await ranks.train(3, { recipe: recipeOf(keys), out: stopped, resume: true });
  expect(outcome(stopped)).toEqual(outcome(whole));
});

test('bfloat16 with float32 masters moves alike however it is divided, up to the order of sums', async () => {
  const keys = {
    ...{ precision: 'bf16', reference: { update: 'soft', alpha: 0.3 }, batch: { size: 6, rowsPerMicroBatch: 1 } },
    ...{ evaluate: { every: 10 }, save: { dtype: 'fp32' } },
  };
  const runs: number[][] = [];
  for (const shard of ['none', 'optimizer', 'gradients', 'parameters']) {
    const out = place();
    await ranks.train(2, { recipe: recipeOf({ ...keys, parallel: { shard } }), out });
    runs.push((await runNumbers(out)).weights);
  }
  using initial = await loadModel(tinyModel, { dtype: 'float64' });
  const apart = (one: readonly number[], other: readonly number[]) => Math.hypot(...one.map((w, i) => w - other[i]!));
  const moved = apart(runs[0]!, weights(initial));
  for (const run of runs) expect(apart(run, runs[0]!)).toBeLessThan(1e-4 * moved);
});

test.each(divisions)(
  'a loss that is NaN, divided by %s: all processes skip it, go back, or stop',
  async (shard, world) => {
    const { model, rows } = await poisoned(folder);
    const keys = {
      ...{ model, data: { train: rows, maxLength: 96, shuffle: false }, batch: { size: 4 }, evaluate: undefined },
      ...{ precision: 'fp32', steps: 6, logEvery: 1, checkpoint: { every: 2 }, parallel: { shard } },
      ...{ reference: { update: 'soft', alpha: 0.3 }, optimizer: { lr: 1e-3, weightDecay: 0 } },
    };
    for (const onDivergence of ['skip', 'rollback']) {
      const out = place();
      const answers = await ranks.train(world, { recipe: recipeOf({ ...keys, onDivergence }), out });
      expect(answers).toEqual(Array(world).fill({ isFinished: true, steps: 6 }));
      const { events } = readEvents(join(out, 'events.jsonl'));
      const steps = events.flatMap((event) => (event.type === 'step' ? [event] : []));
      expect(steps.map(({ step }) => step)).toEqual([1, 2, 3, 4, 5, 6]);
      expect(steps.map(({ metrics }) => metrics.skipped_steps)).toEqual([0, 0, 0, 1, 1, 1]);
      expect(steps.slice(4).every(({ metrics }) => Number.isFinite(metrics.loss))).toBe(true);
    }
    const stopped = await ranks.train(world, { recipe: recipeOf(keys), out: place() });
    for (const answer of stopped) expect(answer).toEqual({ error: expect.stringMatching(/the loss in step 4 is NaN/) });
  },
);

test('a run goes on in another number of processes and another division, or in the same ones to the bit', async () => {
  const keys = { reference: { update: 'soft', alpha: 0.3 }, logEvery: 1, evaluate: { every: 3 }, steps: 5 };
  const expected = await alone(keys);
  const plans = [
    [1, 'none', 3, 'parameters'],
    [3, 'parameters', 2, 'gradients'],
    [2, 'gradients', 3, 'optimizer'],
    [3, 'optimizer', 1, 'none'],
    [2, 'parameters', 2, 'parameters'],
    [3, 'optimizer', 3, 'optimizer'],
  ] as const;
  for (const [before, divided, after, then] of plans) {
    const out = place();
    const recipe = (shard: string) => recipeOf({ ...keys, parallel: { shard } });
    await ranks.train(before, { recipe: recipe(divided), out, stop: { rank: 0, step: 2 } });
    const pieces = Array.from({ length: before }, (_, i) => `optimizer-0000${i + 1}-of-0000${before}.safetensors`);
    expect(readdirSync(join(out, 'checkpoints/step-000002/training')).filter((name) => /^opt/.test(name))).toEqual(
      divided === 'none' ? ['optimizer.safetensors'] : pieces,
    );
    const answers = await ranks.train(after, { recipe: recipe(then), out, resume: true });
    expect(answers).toEqual(Array(after).fill({ isFinished: true, steps: 5 }));
    expectEqualNumbers(await runNumbers(out), expected);
    if (before !== after) {
      const text = readFileSync(join(out, 'events.jsonl'), 'utf8');
      expect(text).toContain(`the number of processes is ${after} and was ${before}`);
      expect(text).toContain(`parallel.shard: \\"${divided}\\" -> \\"${then}\\"`);
      continue;
    }
    const whole = place();
    await ranks.train(after, { recipe: recipe(then), out: whole });
    expect(outcome(out)).toEqual(outcome(whole));
  }
});

test('replicas of one process go on as replicas of three', async () => {
  const keys = { reference: { update: 'soft', alpha: 0.3 }, logEvery: 1, evaluate: { every: 3 }, steps: 5 };
  const out = place();
  const recipe = (parallel: object) => recipeOf({ ...keys, parallel });
  const stop = { rank: 0, step: 3 };
  await ranks.train(2, { recipe: recipe({ shard: 'gradients', replicas: 2 }), out, stop });
  const answers = await ranks.train(3, { recipe: recipe({ shard: 'optimizer', replicas: 3 }), out, resume: true });
  expect(answers).toEqual(Array(3).fill({ isFinished: true, steps: 5 }));
  expectEqualNumbers(await runNumbers(out), await alone(keys));
});

test('run.json says how many processes began a run, and what they divide', async () => {
  const [two, one] = [place(), place()];
  await ranks.train(2, { recipe: recipeOf({ parallel: { shard: 'gradients' } }), out: two });
  await ranks.train(1, { recipe: recipeOf({}), out: one });
  const infoOf = (out: string) => JSON.parse(readFileSync(join(out, 'run.json'), 'utf8'));
  expect(infoOf(two)).toMatchObject({ processes: 2, recipe: { parallel: { shard: 'gradients' } } });
  expect(infoOf(one)).not.toHaveProperty('processes');
});

test('a loss over micro-batches is said to go by the number of processes, which then stays', async () => {
  const recipe = recipeOf({ method: 'kto', loss: { over: 'microBatch' } });
  const out = place();
  await ranks.train(2, { recipe, out, stop: { rank: 0, step: 2 } });
  expect(readFileSync(join(out, 'events.jsonl'), 'utf8')).toContain(
    'loss.over: microBatch goes by micro-batches, which are cut for 2 processes',
  );
  const refused = await ranks.train(3, { recipe, out, resume: true });
  expect(refused[0]).toEqual({ error: expect.stringMatching(/was made by 2 processes and cannot go on with 3/) });
  expect(await ranks.train(2, { recipe, out, resume: true })).toEqual(Array(2).fill({ isFinished: true, steps: 4 }));
});

test('processes with other recipes do not train together, and learn which key differs', async () => {
  const [recipe, other] = [recipeOf({}), recipeOf({ optimizer: { lr: 1e-4, weightDecay: 0.1 } })];
  const answers = await ranks.train(2, { recipe, other, out: place() });
  const words = 'optimizer.lr: rank 1 reads something else than rank 0';
  for (const answer of answers) expect(answer).toEqual({ error: expect.stringContaining(words) });
});
