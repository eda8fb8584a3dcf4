// What must be true of runs that train an adapter, whatever the data.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { memory, noGrad, tidy } from '@reanchor/torch';
import { afterAll, describe, expect, test } from 'vitest';
import type { BaseQuantization } from '#reanchor/adapters/index.js';
import { pairMicroBatch } from '#reanchor/data/index.js';
import { adaptedMatrix } from '#reanchor/models/merged.js';
import type { NewAdapterOptions } from '#reanchor/models/new-adapter.js';
import { isFactor } from '#reanchor/nn/low-rank.js';
import { CachedReference } from '#reanchor/reference/cached-reference.js';
import { CopiedReference } from '#reanchor/reference/copied-reference.js';
import type { UpdateRule } from '#reanchor/reference/update-rule.js';
import { pairObjective } from '#reanchor/train/objectives/pairs.js';
import { stepMetrics } from '#reanchor/train/step-metrics.js';
import type { AdapterWeights } from '#reanchor/weights/adapter-weights.js';
import { loadAdapterWeights } from '#reanchor/weights/load-adapter.js';
import { type AdapterAverage, checksum } from '#reanchor/weights/weights.js';
import { loadTinyPairs, pairMethodOf, plainTrainer, tinyModel } from '../support/training.js';

const folder = mkdtempSync(join(tmpdir(), 'reanchor-adapters-'));
afterAll(() => rmSync(folder, { recursive: true }));

const lora: NewAdapterOptions = {
  ...{ type: 'lora', r: 3, alpha: 6, targets: 'all-linear', rslora: false, dropout: 0, init: 'kaiming' },
  ...{ modulesToSave: [], seed: 1 },
};
const dora: NewAdapterOptions = { ...lora, type: 'dora' };

interface Changes {
  adapter?: NewAdapterOptions;
  average?: AdapterAverage;
  activationCheckpointing?: boolean;
  isCached?: boolean;
  dropout?: number;
  /** Of AdamW; an infinite one lets no step move anything. */
  eps?: number;
  quantize?: BaseQuantization;
  lr?: number;
}

/** A run of an adapter on the tiny model, 8 pairs a step. */
async function adapterTrainer(rule: UpdateRule, changes: Changes = {}) {
  const {
    adapter = lora,
    average,
    activationCheckpointing,
    isCached = false,
    lr = 5e-3,
    eps = 1e-8,
    quantize,
  } = changes;
  const dropout = changes.dropout === undefined ? undefined : { probability: changes.dropout, seed: 7 };
  const weights = await loadAdapterWeights(tinyModel, { base: 'tiny', from: adapter }, { dtype: 'float32', quantize });
  const pairs = await loadTinyPairs();
  const objective = pairObjective(pairMethodOf('sigmoid'));
  const batchOf = (step: number) => {
    const rows = Array.from({ length: 8 }, (_, i) => (8 * step + i) % pairs.length);
    return [pairMicroBatch(rows, pairs)];
  };
  const upcoming = function* (step: number) {
    for (let next = step; ; next++) yield batchOf(next);
  };
  const reference = isCached
    ? new CachedReference(weights.model, { rule, totalSteps: 100, upcoming })
    : new CopiedReference(weights, rule, { average });
  const trainer = plainTrainer(weights, objective, { reference, activationCheckpointing, dropout, adam: { lr, eps } });
  const step = async (number: number) => {
    await reference.prepare(number);
    return trainer.step(batchOf(number));
  };
  const dispose = () => {
    for (const each of [trainer, reference, weights]) each[Symbol.dispose]();
  };
  return { weights, reference, objective, trainer, step, [Symbol.dispose]: dispose };
}

async function run(rule: UpdateRule, changes: Changes = {}, steps = 6) {
  using training = await adapterTrainer(rule, changes);
  const results = [];
  for (let i = 1; i <= steps; i++) results.push(await training.step(i));
  return {
    results,
    metrics: results.map((result) => stepMetrics(result, training.objective)),
    policy: numbersOf(training.weights),
  };
}

const numbersOf = ({ trained }: AdapterWeights) =>
  tidy(() => [...trained.values()].flatMap((weight) => weight.toList()));

describe.each<[string, Changes]>([
  ['lora', { adapter: lora }],
  ['dora', { adapter: dora }],
  ['lora on a base of 4 bits', { adapter: lora, quantize: 'nf4-double' }],
])('%s', (_, changes) => {
  test('soft with alpha = 1 and hard with tau = 1 are the same run, bit for bit', async () => {
    expect(await run({ update: 'soft', alpha: 1 }, changes)).toEqual(await run({ update: 'hard', tau: 1 }, changes));
  });

  test('soft with alpha = 0 is the fixed reference, and a cached one is a copied one, bit for bit', async () => {
    const fixed = await run({ update: 'fixed' }, changes);
    expect((await run({ update: 'soft', alpha: 0 }, changes)).policy).toEqual(fixed.policy);
    for (const rule of [{ update: 'fixed' }, { update: 'hard', tau: 2 }] as const) {
      const [copied, cached] = [await run(rule, changes), await run(rule, { ...changes, isCached: true })];
      expect(cached.policy).toEqual(copied.policy);
      expect(cached.metrics.map(({ loss }) => loss)).toEqual(copied.metrics.map(({ loss }) => loss));
    }
  });

  test('after a hard update the loss is ln 2, rewards are 0, and the policy still moves', async () => {
    const { results } = await run({ update: 'hard', tau: 2 }, changes);
    for (const step of [0, 2, 4]) {
      for (const pair of results[step]!.scores) {
        expect(pair.loss).toBe(Math.LN2);
        expect(pair.chosenReward).toBe(0);
      }
      expect(results[step]!.gradNorm).toBeGreaterThan(0);
    }
    expect(results.map(({ distance }) => distance === 0)).toEqual([false, true, false, true, false, true]);
  });

  test('activations made anew give the same run', async () => {
    const rule = { update: 'soft', alpha: 0.4 } as const;
    const [kept, made] = [await run(rule, changes), await run(rule, { ...changes, activationCheckpointing: true })];
    expect(made.policy).toBeCloseToTensor(kept.policy, 1e-6);
  });

  test('frozen weights have no gradient and stay as they are, and no tensor is left', async () => {
    using training = await adapterTrainer({ update: 'soft', alpha: 0.4 }, changes);
    const { weights } = training;
    const frozen = [...weights.model.parameters].filter(([name]) => !isFactor(name));
    const sums = () => tidy(() => frozen.map(([, weight]) => checksum(weight)));
    const [before, begun] = [sums(), numbersOf(weights)];
    await training.step(1);
    const live = memory().liveTensors;
    for (let i = 2; i <= 5; i++) {
      await training.step(i);
      expect(memory().liveTensors).toBe(live);
    }
    expect(frozen.every(([, weight]) => !weight.requiresGrad && weight.grad === null)).toBe(true);
    expect(sums()).toEqual(before);
    expect(weights.trained.size).toBe(weights.model.parameters.size - frozen.length);
    expect(numbersOf(weights).filter((value, i) => value === begun[i]).length).toBe(0);
  });
});

test('dropout is of the policy in training alone, and drops the same in a pass that is made again', async () => {
  const rule = { update: 'hard', tau: 2 } as const;
  const [plain, some, again] = [await run(rule), await run(rule, { dropout: 0.3 }), await run(rule, { dropout: 0.3 })];
  expect(again).toEqual(some);
  expect(some.policy).not.toEqual(plain.policy);
  const made = await run(rule, { dropout: 0.3, activationCheckpointing: true });
  expect(made.policy).toBeCloseToTensor(some.policy, 1e-6);
  // After a copy the reference is the policy without it.
  expect(some.results[2]!.scores.some(({ chosenReward }) => chosenReward !== 0)).toBe(true);
});

test('an optimizer that moves none of the factors is an error', async () => {
  using training = await adapterTrainer({ update: 'fixed' }, { eps: Number.POSITIVE_INFINITY });
  await training.step(1);
  await expect(training.step(2)).rejects.toThrow(/expected an adapter that the optimizer moves, found that none/);
});

describe('products', () => {
  test.each([
    { alpha: 0.6, rank: 64, most: 1e-6 },
    { alpha: 0.1, rank: 64, most: 1e-6 },
    { alpha: 0.6, rank: undefined, most: 1.5e-4 },
    { alpha: 0.1, rank: undefined, most: 1e-3 },
  ])(
    'of share $alpha at rank $rank are the average of the matrices over 50 steps',
    async ({ alpha, rank, most }) => {
      const form = 'product';
      using training = await adapterTrainer({ update: 'soft', alpha }, { average: { form, rank }, lr: 2e-3 });
      const { weights, reference } = training;
      const layers = [...weights.model.lowRank.keys()];
      const matrices = () =>
        tidy(() => layers.map((layer) => adaptedMatrix(weights.model, layer).to('float64').toList()));
      let averages = matrices();
      for (let step = 1; step <= 50; step++) {
        await training.step(step);
        averages = matrices().map((own, i) => own.map((value, j) => alpha * value + (1 - alpha) * averages[i]![j]!));
      }
      const policy = matrices();
      const found = tidy(() =>
        noGrad(() => layers.map((layer) => adaptedMatrix((reference as CopiedReference).model, layer).toList())),
      );
      const norm = (of: (i: number, j: number) => number) =>
        Math.sqrt(averages.flatMap((row, i) => row.map((_, j) => of(i, j) ** 2)).reduce((a, b) => a + b, 0));
      const apart = norm((i, j) => found[i]![j]! - averages[i]![j]!);
      const distance = norm((i, j) => policy[i]![j]! - averages[i]![j]!);
      expect(apart / (rank === undefined ? distance : norm((i, j) => averages[i]![j]!))).toBeLessThan(most);
      // What distances are logged is the distance of the matrices.
      expect(reference.distance()).toBeCloseTo(distance, 4);
    },
    60_000,
  );

  test('what is cut off to keep the rank is told, and is less the higher the rank', async () => {
    const cut = async (rank: number) => {
      const { metrics } = await run({ update: 'soft', alpha: 0.1 }, { average: { rank } }, 10);
      return metrics.at(-1)!['reference/truncation']!;
    };
    const [low, middle, high] = [await cut(3), await cut(6), await cut(12)];
    expect(low).toBeLessThan(0.1);
    expect(middle).toBeLessThan(low / 2);
    expect(high).toBeLessThan(middle / 2);
  });

  test('are refused of DoRA, and at a rank below that of the adapter', async () => {
    using turned = await loadAdapterWeights(tinyModel, { base: 'tiny', from: dora }, { dtype: 'float32' });
    expect(() => turned.anchor({ average: { form: 'product' } })).toThrow(/dora.*no low rank: use factors/);
    using plain = await loadAdapterWeights(tinyModel, { base: 'tiny', from: lora }, { dtype: 'float32' });
    expect(() => plain.anchor({ average: { rank: 2 } })).toThrow(/reference.rank is 2, below the rank .* \(3\)/);
  });
});

test('a folder of an adapter is trained on from where it was, and is the reference where it is named', async () => {
  using training = await adapterTrainer({ update: 'fixed' });
  for (let i = 1; i <= 3; i++) await training.step(i);
  await training.weights.save(join(folder, 'trained'), {});
  const options = { dtype: 'float32' } as const;
  using again = await loadAdapterWeights(tinyModel, { base: 'tiny', from: join(folder, 'trained') }, options);
  expect(numbersOf(again)).toEqual(numbersOf(training.weights));
  using fresh = await loadAdapterWeights(tinyModel, { base: 'tiny', from: lora }, options);
  using anchor = await fresh.anchorFrom(join(folder, 'trained'));
  expect(numbersOf(anchor)).toEqual(numbersOf(again));
  expect(anchor.distance(again)).toBeLessThan(1e-7);
  using base = again.anchorAtBase();
  expect(base.distance(fresh)).toBe(0);
  using other = await loadAdapterWeights(tinyModel, { base: 'tiny', from: { ...lora, r: 2 } }, options);
  await expect(other.anchorFrom(join(folder, 'trained'))).rejects.toThrow(/another form .* same\s+layers, ranks/);
});

test('modules that cannot be trained whole are refused by name', async () => {
  const from = (modulesToSave: string[], targets: string | string[] = 'all-linear') =>
    loadAdapterWeights(tinyModel, { base: 'tiny', from: { ...lora, targets, modulesToSave } }, { dtype: 'float32' });
  await expect(from(['nrom'])).rejects.toThrow(/modulesToSave: "nrom" is no module/);
  await expect(from(['q_proj'])).rejects.toThrow(/"q_proj" has an adapter already/);
  await expect(from([], ['q_prj'])).rejects.toThrow(/q_proj/);
});
