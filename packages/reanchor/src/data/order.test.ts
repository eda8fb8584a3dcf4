import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type PlanOptions, planSteps, splitRows, stepCount, stepsPerEpoch } from './order.js';
import { shuffled } from './random.js';

const options = fc.record({
  batchSize: fc.integer({ min: 1, max: 9 }),
  tokensPerMicroBatch: fc.integer({ min: 1, max: 60 }),
  epochs: fc.integer({ min: 1, max: 3 }),
  steps: fc.option(fc.integer({ min: 1, max: 20 }), { nil: undefined }),
  seed: fc.nat({ max: 2 ** 32 - 1 }),
  shuffle: fc.boolean(),
});
const lengths = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 25 });
const defaults: PlanOptions = { batchSize: 4, tokensPerMicroBatch: 100, epochs: 1, seed: 1, shuffle: true };

describe('a plan', () => {
  test('takes every row once an epoch, and keeps each micro-batch within its budget', () => {
    fc.assert(
      fc.property(lengths, options, (lengths, options) => {
        const plan = [...planSteps(lengths, options)];
        const perEpoch = stepsPerEpoch(lengths.length, options.batchSize);
        expect(plan.length).toBe(stepCount(lengths.length, options));
        for (const [i, { step, epoch, microBatches }] of plan.entries()) {
          expect(step).toBe(i + 1);
          const isLast = step % perEpoch === 0;
          if (isLast) expect(epoch).toBe(step / perEpoch);
          const size = microBatches.flat().length;
          expect(size).toBe(isLast ? lengths.length - (perEpoch - 1) * options.batchSize : options.batchSize);
          for (const [j, rows] of microBatches.entries()) {
            const tokens = (some: number[]) => some.reduce((sum, row) => sum + lengths[row]!, 0);
            if (rows.length > 1) expect(tokens(rows)).toBeLessThanOrEqual(options.tokensPerMicroBatch);
            const next = microBatches[j + 1]?.[0];
            if (next !== undefined) expect(tokens([...rows, next])).toBeGreaterThan(options.tokensPerMicroBatch);
          }
        }
        for (let first = 0; first + perEpoch <= plan.length; first += perEpoch) {
          const rows = plan.slice(first, first + perEpoch).flatMap(({ microBatches }) => microBatches.flat());
          expect(rows.toSorted((a, b) => a - b)).toEqual(lengths.map((_, i) => i));
        }
      }),
    );
  });

  test('is the same from any step on', () => {
    fc.assert(
      fc.property(lengths, options, fc.nat({ max: 20 }), (lengths, options, skipped) => {
        expect([...planSteps(lengths, options, skipped + 1)]).toEqual([...planSteps(lengths, options)].slice(skipped));
      }),
    );
  });

  test('without shuffling follows the file', () => {
    const rows = [...planSteps([1, 1, 1, 1, 1], { ...defaults, batchSize: 2, shuffle: false, epochs: 2 })];
    expect(rows.flatMap(({ microBatches }) => microBatches.flat())).toEqual([0, 1, 2, 3, 4, 0, 1, 2, 3, 4]);
    expect(rows.map(({ epoch }) => epoch)).toEqual([0.4, 0.8, 1, 1.4, 1.8, 2]);
  });

  test('with shuffling differs between epochs and seeds, and not between runs', () => {
    const order = (seed: number) =>
      [...planSteps(Array(50).fill(1), { ...defaults, epochs: 2, seed })].flatMap(({ microBatches }) =>
        microBatches.flat(),
      );
    expect(order(1)).toEqual(order(1));
    expect(order(1)).not.toEqual(order(2));
    expect(order(1).slice(0, 50)).not.toEqual(order(1).slice(50));
    expect(order(1).slice(50)).not.toEqual(order(2).slice(0, 50));
  });

  test('of no rows is an error', () => {
    expect(() => planSteps([], defaults).next()).toThrow(RangeError);
  });
});

describe('rows held out', () => {
  test('are as many as asked, ascending, and decided by the seed', () => {
    fc.assert(
      fc.property(fc.nat({ max: 60 }), fc.nat(), (n, seed) => {
        const count = Math.floor(n / 3);
        const rows = splitRows(n, count, seed);
        expect(rows).toEqual([...new Set(rows)].sort((a, b) => a - b));
        expect(rows.length).toBe(count);
        expect(rows.every((row) => row >= 0 && row < n)).toBe(true);
        expect(splitRows(n, count, seed)).toEqual(rows);
      }),
    );
    expect(splitRows(1000, 10, 1)).not.toEqual(splitRows(1000, 10, 2));
  });

  test('cannot be more than there are', () => {
    expect(() => splitRows(3, 4, 1)).toThrow('4 of 3 rows');
  });
});

describe('a random order', () => {
  test('is a permutation, and uniform: each of the 24 orders of four comes up about equally often', () => {
    const counts = new Map<string, number>();
    for (let seed = 0; seed < 24_000; seed++) {
      const order = shuffled(4, seed, 1, 0).join();
      counts.set(order, (counts.get(order) ?? 0) + 1);
    }
    expect(counts.size).toBe(24);
    const chiSquared = [...counts.values()].reduce((sum, count) => sum + (count - 1000) ** 2 / 1000, 0);
    expect(chiSquared).toBeLessThan(49.7);
  });

  test('stays what it was, release after release', () => {
    expect(shuffled(8, 42, 1, 0)).toMatchInlineSnapshot(`
      [
        1,
        2,
        5,
        3,
        4,
        0,
        6,
        7,
      ]
    `);
  });
});
