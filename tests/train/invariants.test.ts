// What must be true of trust-region training, whatever the data.
import { memory } from '@reanchor/torch';
import { describe, expect, test } from 'vitest';
import { pairMicroBatch } from '#reanchor/data/index.js';
import type { CopiedReference } from '#reanchor/reference/copied-reference.js';
import type { UpdateRule } from '#reanchor/reference/update-rule.js';
import { stepMetrics } from '#reanchor/train/step-metrics.js';
import { tinyTrainer, weights } from '../support/training.js';

async function run(rule: UpdateRule, steps = 6) {
  using training = await tinyTrainer(rule);
  const results = Array.from({ length: steps }, (_, i) => training.step(i));
  return {
    results,
    metrics: results.map((result) => stepMetrics(result, training.objective)),
    policy: weights(training.policy),
    reference: weights((training.reference as CopiedReference).model),
  };
}

test('soft with alpha = 1 and hard with tau = 1 are the same run, bit for bit', async () => {
  expect(await run({ update: 'soft', alpha: 1 })).toEqual(await run({ update: 'hard', tau: 1 }));
});

test.each<UpdateRule>([
  { update: 'soft', alpha: 0 },
  { update: 'hard', tau: 7 },
  { update: 'mixed', alpha: 0.6, tau: 7 },
])('$update with no effect is the fixed reference, bit for bit: %j', async (rule) => {
  const [moved, fixed] = [await run(rule), await run({ update: 'fixed' })];
  expect(moved.policy).toEqual(fixed.policy);
  expect(moved.reference).toEqual(fixed.reference);
  expect(moved.metrics).toEqual(fixed.metrics);
});

test('the same run twice gives the same bits', async () => {
  expect(await run({ update: 'soft', alpha: 0.6 })).toEqual(await run({ update: 'soft', alpha: 0.6 }));
});

test('after a hard update the loss is ln 2, rewards are 0, and the policy still moves', async () => {
  const { results } = await run({ update: 'hard', tau: 2 });
  for (const step of [0, 2, 4]) {
    for (const pair of results[step]!.scores) {
      expect(pair.loss).toBeCloseTo(Math.LN2, 12);
      expect(Math.abs(pair.chosenReward)).toBeLessThan(1e-9);
    }
    expect(results[step]!.gradNorm).toBeGreaterThan(0);
  }
  expect(results[3]!.scores.some((pair) => pair.chosenReward !== 0)).toBe(true);
  expect(results.map(({ update }) => update?.version)).toEqual([undefined, 1, undefined, 2, undefined, 3]);
  expect(results.map(({ distance }) => distance === 0)).toEqual([false, true, false, true, false, true]);
});

test('a soft update leaves (1 - alpha) of the distance', async () => {
  const { results } = await run({ update: 'soft', alpha: 0.25 });
  for (const { update } of results) expect(update!.distances!.after / update!.distances!.before).toBeCloseTo(0.75, 4);
});

describe('micro-batches', () => {
  test('change neither the loss nor the gradient of a step, equal in size or not', async () => {
    const cuts = [[8], [4, 4], [1, 5, 2], [1, 1, 1, 1, 1, 1, 1, 1]];
    const results = [];
    for (const sizes of cuts) {
      using training = await tinyTrainer({ update: 'fixed' }, { dtype: 'float64' });
      training.step(1);
      let first = 0;
      const batches = sizes.map((size) => {
        const positions = Array.from({ length: size }, (_, i) => first + i);
        first += size;
        return pairMicroBatch(positions, training.pairs);
      });
      const { gradNorm, ...rest } = training.trainer.step(batches);
      results.push([
        gradNorm,
        stepMetrics({ gradNorm, ...rest }, training.objective).loss!,
        ...weights(training.policy),
      ]);
    }
    for (const other of results.slice(1)) expect(other).toBeCloseToTensor(results[0]!, 1e-12);
  });
});

test('no tensor is left over: the live count is the same after every step, and 0 after dispose', async () => {
  const before = memory().liveTensors;
  {
    using training = await tinyTrainer({ update: 'soft', alpha: 0.6 });
    training.step(0);
    const after = memory().liveTensors;
    for (let i = 1; i < 40; i++) {
      training.step(i);
      expect(memory().liveTensors).toBe(after);
    }
  }
  expect(memory().liveTensors).toBe(before);
});
