// Every method with every kind of reference, through one interface: what must be true whatever the data.
import { describe, expect, test } from 'vitest';
import {
  type MicroBatch,
  planSteps,
  splitRows,
  type TokenizedExample,
  type TokenizedPair,
  type TokenizedText,
} from '#reanchor/data/index.js';
import { groupTokens } from '#reanchor/data/pack.js';
import { type PairLossName, pairLosses } from '#reanchor/losses/methods.js';
import { loadModel } from '#reanchor/models/load.js';
import { CachedReference } from '#reanchor/reference/cached-reference.js';
import { CopiedReference } from '#reanchor/reference/copied-reference.js';
import type { UpdateRule } from '#reanchor/reference/update-rule.js';
import { exampleObjective } from '#reanchor/train/objectives/examples.js';
import type { LoggedRow, Objective } from '#reanchor/train/objectives/objective.js';
import { pairObjective } from '#reanchor/train/objectives/pairs.js';
import { textObjective } from '#reanchor/train/objectives/texts.js';
import { Weights } from '#reanchor/weights/weights.js';
import {
  loadTinyPairs,
  type PlainOptions,
  pairMethodOf,
  plainTrainer,
  tinyModel,
  weights,
} from '../support/training.js';

// Of a few tokens, since every method trains on them again and again.
const pairs = (await loadTinyPairs()).map(({ prompt, chosen, rejected, ...row }) => ({
  ...row,
  prompt: prompt.slice(-6),
  chosen: chosen.slice(0, 9),
  rejected: rejected.slice(0, 7),
}));
const examples: TokenizedExample[] = pairs.flatMap(({ chosen, rejected, ...row }) => [
  { ...row, completion: chosen, label: true },
  { ...row, completion: rejected, label: false },
]);
const texts: TokenizedText[] = pairs.map(({ chosen, rejected: _, ...row }) => ({ ...row, completion: chosen }));

interface RunOptions {
  rule: UpdateRule;
  storage?: 'copy' | 'cached';
  steps?: number;
  tokensPerMicroBatch?: number;
  epochs?: number;
  options?: Omit<PlainOptions<never, LoggedRow>, 'reference'>;
}

/** A run of the tiny model in float64: the losses of its steps, versions of the reference, and its weights. */
async function run<Row, Score extends LoggedRow>(
  objective: Objective<Row, Score>,
  rows: readonly Row[],
  { rule, storage = 'copy', steps = 5, tokensPerMicroBatch = 10_000, options }: RunOptions,
) {
  using policy = await loadModel(tinyModel, { dtype: 'float64' });
  const trained = new Weights(policy);
  const lengths = rows.map((row) => groupTokens(objective.group(row)));
  const plan = { batchSize: 4, tokensPerMicroBatch, epochs: 1, steps, seed: 1, shuffle: true };
  const upcoming = function* (step: number): Generator<MicroBatch[]> {
    for (const planned of planSteps(lengths, plan, step)) yield objective.layOut(planned, rows);
  };
  const reference = !objective.needsReference
    ? undefined
    : storage === 'cached'
      ? new CachedReference(policy, { rule, totalSteps: steps, upcoming })
      : new CopiedReference(trained, rule);
  using trainer = plainTrainer(trained, objective, { reference, ...options });
  const results = [];
  let step = 0;
  for (const microBatches of upcoming(1)) {
    step += 1;
    await reference?.prepare(step);
    results.push(trainer.step(microBatches));
  }
  reference?.[Symbol.dispose]();
  return {
    results,
    losses: results.map(({ scores }) => objective.metrics(scores).loss!),
    versions: results.map(({ update }) => update?.version ?? 0),
    weights: weights(policy),
  };
}

const kto = (over: 'step' | 'microBatch' = 'step') =>
  exampleObjective({ beta: 0.1, desirableWeight: 1, undesirableWeight: 1.2, partners: 'shuffled', seed: 3, over });
const smoothing = (name: PairLossName) => (name === 'exo_pair' ? { labelSmoothing: 0.01 } : {});
const pairNames = (Object.keys(pairLosses) as PairLossName[]).filter((name) => name !== 'sft');
type Run = (options: RunOptions) => ReturnType<typeof run>;
const methods: [string, Run][] = [
  ...pairNames.map((name): [string, Run] => [
    name,
    (options) => run(pairObjective(pairMethodOf(name, smoothing(name))), pairs, options) as ReturnType<typeof run>,
  ]),
  ['kto', (options) => run(kto(), examples, options) as ReturnType<typeof run>],
];

describe.each(methods)('%s', (_, trainAnew) => {
  // A run that is made again comes to the same bits: each is made once.
  const made = new Map<string, ReturnType<Run>>();
  const train: Run = (options) => {
    const key = JSON.stringify(options);
    const known = made.get(key) ?? trainAnew(options);
    made.set(key, known);
    return known;
  };

  test('soft with alpha = 1 is hard with tau = 1, bit for bit', async () => {
    const [soft, hard] = [
      await train({ rule: { update: 'soft', alpha: 1 }, steps: 3 }),
      await train({ rule: { update: 'hard', tau: 1 }, steps: 3 }),
    ];
    expect(soft.losses).toEqual(hard.losses);
    expect(soft.weights).toEqual(hard.weights);
  });

  test('alpha = 0 and tau beyond the run are the fixed reference, bit for bit', async () => {
    const fixed = await train({ rule: { update: 'fixed' }, steps: 3 });
    for (const rule of [{ update: 'soft', alpha: 0 } as const, { update: 'hard', tau: 4 } as const]) {
      expect((await train({ rule, steps: 3 })).weights).toEqual(fixed.weights);
    }
  });

  test('the first loss is the same for all references, and comes again after a hard update', async () => {
    const [fixed, hard] = [
      await train({ rule: { update: 'fixed' } }),
      await train({ rule: { update: 'hard', tau: 2 } }),
    ];
    const [first] = fixed.losses;
    expect(hard.losses[0]).toBe(first);
    for (const step of [2, 4]) expect(hard.losses[step]! / first!).toBeCloseTo(1, 1);
    for (const { gradNorm } of hard.results) expect(gradNorm).toBeGreaterThan(0);
    expect(hard.versions).toEqual([0, 1, 0, 2, 0]);
  });

  test('cached and copied references give the same losses over three windows', async () => {
    const rule = { update: 'hard', tau: 2 } as const;
    const [copied, cached] = [await train({ rule }), await train({ rule, storage: 'cached' })];
    for (const [i, loss] of copied.losses.entries()) expect(Math.abs(cached.losses[i]! - loss)).toBeLessThan(1e-12);
    expect(cached.versions).toEqual(copied.versions);
    const fixed = { update: 'fixed' } as const;
    const [copy, cache] = [await train({ rule: fixed }), await train({ rule: fixed, storage: 'cached' })];
    for (const [i, loss] of copy.losses.entries()) expect(Math.abs(cache.losses[i]! - loss)).toBeLessThan(1e-12);
  });

  test('micro-batches change results by rounding only', async () => {
    const rule = { update: 'hard', tau: 2 } as const;
    const [whole, cut] = [await train({ rule }), await train({ rule, tokensPerMicroBatch: 40 })];
    for (const [i, loss] of whole.losses.entries()) expect(cut.losses[i]! / loss).toBeCloseTo(1, 9);
    expect(cut.weights).toBeCloseToTensor(whole.weights, 1e-7);
  });
});

test('SFT: micro-batches change results by rounding only, since the mean is over all tokens of the step', async () => {
  const rule = { update: 'fixed' } as const;
  const [whole, cut] = [
    await run(textObjective(), texts, { rule }),
    await run(textObjective(), texts, { rule, tokensPerMicroBatch: 20 }),
  ];
  expect(cut.losses).toBeCloseToTensor(whole.losses, 1e-10);
  expect(cut.weights).toBeCloseToTensor(whole.weights, 1e-7);
  expect(whole.losses.at(-1)).toBeLessThan(whole.losses[0]!);
});

test('activation checkpointing changes nothing but rounding', async () => {
  const objective = pairObjective(pairMethodOf('sigmoid'));
  const rule = { update: 'soft', alpha: 0.5 } as const;
  const [plain, checkpointed] = [
    await run(objective, pairs, { rule }),
    await run(objective, pairs, { rule, options: { activationCheckpointing: true } }),
  ];
  expect(checkpointed.losses).toBeCloseToTensor(plain.losses, 1e-12);
  expect(checkpointed.weights).toBeCloseToTensor(plain.weights, 1e-9);
});

test('forgetting the optimizer at hard updates makes another run', async () => {
  const objective = pairObjective(pairMethodOf('sigmoid'));
  const rule = { update: 'hard', tau: 2 } as const;
  const [kept, reset] = [
    await run(objective, pairs, { rule }),
    await run(objective, pairs, { rule, options: { resetOptimizer: true } }),
  ];
  expect(reset.losses.slice(0, 3)).toEqual(kept.losses.slice(0, 3));
  expect(reset.losses[3]).not.toBe(kept.losses[3]);
});

test('a plateau of the margin moves the reference, and a divergence above the cap stops it', async () => {
  const objective = pairObjective(pairMethodOf('sigmoid'));
  const stalled = await run(objective, pairs, {
    rule: { update: 'plateau', metric: 'margin', patience: 1, minGain: 1000 },
  });
  expect(stalled.versions).toEqual([0, 1, 0, 2, 0]);
});

test('a reference with other weights than the policy has rewards from the first step on', async () => {
  using policy = await loadModel(tinyModel, { dtype: 'float64' });
  const other = await loadModel(tinyModel, { dtype: 'float64' });
  for (const parameter of other.parameters.values()) parameter.mul_(0.9);
  const trained = new Weights(policy);
  using reference = new CopiedReference(trained, { update: 'fixed' }, { initial: new Weights(other) });
  const objective = pairObjective(pairMethodOf('sigmoid'));
  using trainer = plainTrainer(trained, objective, { reference });
  const plan = { step: 1, epoch: 0, microBatches: [splitRows(pairs.length, 8, 1)] };
  const { scores } = trainer.step(objective.layOut(plan, pairs as TokenizedPair[]));
  for (const { chosenReward } of scores) expect(Math.abs(chosenReward)).toBeGreaterThan(1e-3);
});
