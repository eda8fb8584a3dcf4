import fc from 'fast-check';
import { expect, test } from 'vitest';
import { stopReason } from './early-stop.js';

const evaluations = (values: readonly (number | undefined)[], metric = 'rewards/accuracies') =>
  values.map((value, i) => ({ step: 10 * i, metrics: value === undefined ? { 'gold/mean': 1 } : { [metric]: value } }));

/** The evaluation after which a run ends, by its index; undefined where it makes all steps. */
function endOf(
  values: readonly (number | undefined)[],
  { metric = 'rewards/accuracies', patience = 1, minGain = 0 } = {},
): number | undefined {
  const all = evaluations(values, metric);
  const ends = all.findIndex((_, i) => stopReason(all.slice(0, i + 1), { metric, patience, minGain }) !== undefined);
  return ends < 0 ? undefined : ends;
}

test.each([
  ['one without a gain ends it', [0.5, 0.6, 0.6], {}, 2],
  ['as many as patience says do, in a row', [0.5, 0.6, 0.6, 0.7, 0.6, 0.7, 0.65], { patience: 3 }, 6],
  ['a gain in between begins the count anew', [0.5, 0.4, 0.6, 0.5, 0.7, 0.6], { patience: 2 }, undefined],
  ['a gain of minGain is one', [0.5, 0.75, 1], { minGain: 0.25 }, undefined],
  ['a smaller one is none', [0.5, 0.7, 1], { minGain: 0.25 }, 1],
  ['and yet the best, which the next is compared with', [0.5, 0.6, 0.75, 0.8], { minGain: 0.2, patience: 2 }, 2],
  ['of a loss lower is better', [0.7, 0.6, 0.5, 0.55], { metric: 'loss' }, 3],
  ['NaN is no gain and never the best', [Number.NaN, 0.5, Number.NaN, Number.NaN], { patience: 2 }, 3],
  ['evaluations without the metric do not count', [0.5, 0.6, undefined, undefined, 0.55], {}, 4],
])('%s', (_, values, options, end) => {
  expect(endOf(values, options)).toBe(end);
});

/** As transformers' EarlyStoppingCallback counts: `greater` and a difference above the threshold. */
function endOfCallback(values: readonly number[], patience: number, threshold: number): number | undefined {
  let best: number | undefined;
  let counter = 0;
  for (const [i, value] of values.entries()) {
    if (best === undefined || (value > best && Math.abs(value - best) > threshold)) counter = 0;
    else counter += 1;
    if (best === undefined || value > best) best = value;
    if (counter >= patience) return i;
  }
  return undefined;
}

test("it ends where transformers' callback does, whose gain is more than the threshold", () => {
  const value = fc.integer({ min: 0, max: 6 });
  fc.assert(
    fc.property(fc.array(value, { maxLength: 12 }), fc.integer({ min: 1, max: 4 }), value, (values, patience, k) => {
      expect(endOf(values, { patience, minGain: k + 0.5 })).toBe(endOfCallback(values, patience, k + 0.5));
      expect(endOf(values, { patience })).toBe(endOfCallback(values, patience, 0));
    }),
  );
});

test('the reason says the step, the metric, the patience and the best', () => {
  expect(
    stopReason(evaluations([0.5, 0.6, 0.55, 0.6]), { metric: 'rewards/accuracies', patience: 2, minGain: 0 }),
  ).toBe(
    'stopped after step 30: rewards/accuracies has had no gain in 2 evaluations in a row; its best is 0.6 after step 10 (stop)',
  );
  expect(stopReason(evaluations([0.6, 0.61], 'loss'), { metric: 'loss', patience: 1, minGain: 0.01 })).toBe(
    'stopped after step 10: loss has had no gain of 0.01 or more in 1 evaluation; its best is 0.6 after step 0 (stop)',
  );
});
