import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { distinct, ratioEstimate, selfBleu, standardError } from './index.js';

const file = new URL('../../../../tests/fixtures/stats/diversity.json', import.meta.url);
const sets = JSON.parse(readFileSync(file, 'utf8')) as { texts: string[]; words: number[]; characters: number[] }[];

test.each(sets)("self-BLEU is NLTK's: $texts", ({ texts, words, characters }) => {
  const close = (found: number[], expected: number[]) => {
    expect(found).toHaveLength(expected.length);
    for (const [i, value] of expected.entries()) expect(found[i]).toBeCloseTo(value, 12);
  };
  close(selfBleu(texts.map((text) => text.split(' '))), words);
  close(selfBleu(texts.map((text) => [...text])), characters);
});

test('self-BLEU of equal texts is 1, of texts without a common token 0', () => {
  expect(selfBleu([['a', 'b', 'c'], ['a', 'b', 'c']])).toEqual([1, 1]); // biome-ignore format: short
  expect(selfBleu([['a'], ['b', 'c'], []])).toEqual([0, 0, 0]);
  expect(() => selfBleu([['a']])).toThrow(RangeError);
});

test('distinct-n counts different n-grams once', () => {
  const texts = [['a', 'b', 'a'], ['a', 'b']]; // biome-ignore format: short
  expect([1, 2, 3].map((n) => distinct(texts, n))).toEqual([2 / 5, 2 / 3, 1]);
  expect(distinct([['a']], 2)).toBeNaN();
});

test('a ratio over clusters of one has the mean and its standard error', () => {
  fc.assert(
    fc.property(fc.array(fc.double({ min: -5, max: 5, noNaN: true }), { minLength: 2 }), (values) => {
      const { estimate, standardError: error } = ratioEstimate(values.map((sum) => ({ sum, count: 1 })));
      expect(estimate).toBeCloseTo(values.reduce((a, b) => a + b, 0) / values.length, 10);
      expect(error).toBeCloseTo(standardError(values), 10);
    }),
  );
});
