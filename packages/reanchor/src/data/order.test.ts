import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { shuffled } from '../random.js';
import { type PlanOptions, planSteps, rowsPerEpoch, splitRows, stepCount, stepsPerEpoch } from './order.js';

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

describe('a mixture', () => {
  const shares = fc.array(
    fc.record({ rows: fc.integer({ min: 1, max: 12 }), weight: fc.constantFrom(0.01, 0.25, 0.5, 0.7, 1, 1.5, 2, 3) }),
    { minLength: 1, maxLength: 4 },
  );
  const rowsOf = (sources: readonly { rows: number }[]) => sources.reduce((sum, { rows }) => sum + rows, 0);
  const planned = (sources: { rows: number; weight: number }[], changes: Partial<PlanOptions>, first?: number) => {
    const lengths = Array.from({ length: rowsOf(sources) }, (_, i) => 1 + (i % 7));
    return [...planSteps(lengths, { ...defaults, ...changes, sources }, first)];
  };

  test('takes round(weight x rows) of each source an epoch, and no row again before all have come', () => {
    fc.assert(
      fc.property(shares, fc.boolean(), fc.nat({ max: 1000 }), (sources, shuffle, seed) => {
        const epochs = 4;
        const n = rowsPerEpoch(rowsOf(sources), sources);
        const rows = planned(sources, { epochs, shuffle, seed, batchSize: 3 }).flatMap(({ microBatches }) =>
          microBatches.flat(),
        );
        expect(rows.length).toBe(epochs * n);
        let start = 0;
        for (const { rows: size, weight } of sources) {
          const isOwn = (row: number) => row >= start && row < start + size;
          const count = Math.max(1, Math.round(size * weight));
          const times = new Array<number>(size).fill(0);
          for (let epoch = 0; epoch < epochs; epoch++) {
            const own = rows.slice(epoch * n, (epoch + 1) * n).filter(isOwn);
            expect(own.length).toBe(count);
            for (const row of own) times[row - start]!++;
            expect(Math.max(...times) - Math.min(...times)).toBeLessThanOrEqual(1);
          }
          start += size;
        }
      }),
    );
  });

  test('is the same from any step on, and differs between seeds', () => {
    fc.assert(
      fc.property(shares, options, fc.nat({ max: 20 }), (sources, changes, skipped) => {
        expect(planned(sources, changes, skipped + 1)).toEqual(planned(sources, changes).slice(skipped));
      }),
    );
    const half = (seed: number) =>
      planned([{ rows: 100, weight: 0.5 }], { seed }).flatMap((step) => step.microBatches.flat());
    expect(half(1)).not.toEqual(half(2));
    expect(half(1)).toEqual(half(1));
  });

  test('of weights 1 is the order without weights', () => {
    const sources = [
      { rows: 7, weight: 1 },
      { rows: 4, weight: 1 },
    ];
    const lengths = Array.from({ length: 11 }, (_, i) => 1 + (i % 7));
    expect(planned(sources, { epochs: 3 })).toEqual([...planSteps(lengths, { ...defaults, epochs: 3 })]);
  });

  test('in file order goes on in the next epoch where the last one ended', () => {
    const sources = [
      { rows: 3, weight: 1 / 3 },
      { rows: 4, weight: 0.75 },
    ];
    const steps = planned(sources, { shuffle: false, epochs: 4, batchSize: 4 });
    expect(steps.map(({ microBatches }) => microBatches.flat())).toEqual([
      [0, 3, 4, 5],
      [1, 6, 3, 4],
      [2, 5, 6, 3],
      [0, 4, 5, 6],
    ]);
    expect(stepCount(7, { ...defaults, sources, epochs: 4 })).toBe(4);
  });

  test('of sources that are not the rows is an error', () => {
    expect(() => planned([], {})).toThrow(RangeError);
    expect(() => rowsPerEpoch(3, [{ rows: 2, weight: 1 }])).toThrow('the sources have 2 rows, and there are 3');
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
