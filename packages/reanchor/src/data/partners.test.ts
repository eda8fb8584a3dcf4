import fc from 'fast-check';
import { expect, test } from 'vitest';
import { choosePartners } from './partners.js';

const ids = (...values: number[]) => Int32Array.from(values);
/** n rows with prompts and completions of their own. */
const distinct = (n: number) => Array.from({ length: n }, (_, i) => ({ prompt: ids(i), completion: ids(100 + i) }));

test('previous is a rotation of each micro-batch: the first row takes the completion of the last', () => {
  const options = { partners: 'previous', seed: 1, step: 1 } as const;
  expect(
    choosePartners(
      [
        [4, 5, 6],
        [7, 8],
      ],
      distinct(9),
      options,
    ),
  ).toEqual([
    [6, 4, 5],
    [8, 7],
  ]);
  expect(() => choosePartners([[4]], distinct(9), options)).toThrow(/one row/);
});

test('shuffled gives every row another one of the step, each lends once, and the seed and step decide', () => {
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 12 }), fc.nat(1000), fc.nat(1000), (n, seed, step) => {
      const rows = Array.from({ length: n }, (_, i) => i + 3);
      const batches = [rows.slice(0, 1), rows.slice(1)];
      const options = { partners: 'shuffled', seed, step } as const;
      const partners = choosePartners(batches, distinct(n + 3), options);
      expect(partners.map((batch) => batch.length)).toEqual([1, n - 1]);
      expect([...partners.flat()].sort((a, b) => a - b)).toEqual(rows);
      for (const [i, partner] of partners.flat().entries()) expect(partner).not.toBe(rows[i]);
      expect(choosePartners(batches, distinct(n + 3), options)).toEqual(partners);
    }),
  );
});

test('a partner has another prompt and another completion, as far as there are any', () => {
  const pair = [
    { prompt: ids(1), completion: ids(10) },
    { prompt: ids(1), completion: ids(11) },
    { prompt: ids(2), completion: ids(10) },
    { prompt: ids(3), completion: ids(12) },
  ];
  for (let seed = 0; seed < 20; seed++) {
    const [partners] = choosePartners([[0, 1, 2, 3]], pair, { partners: 'shuffled', seed, step: 1 });
    expect(partners![0]).toBe(3);
    expect([2, 3]).toContain(partners![1]);
    expect([1, 3]).toContain(partners![2]);
  }
});

test('a step of one row takes its partner from the rest of the data', () => {
  const [[partner]] = choosePartners([[2]], distinct(5), { partners: 'shuffled', seed: 7, step: 3 }) as [[number]];
  expect(partner).not.toBe(2);
  const same = distinct(3).map(({ prompt }) => ({ prompt, completion: ids(1) }));
  expect(() => choosePartners([[0]], same, { partners: 'shuffled', seed: 7, step: 3 })).toThrow(/same completion/);
});
