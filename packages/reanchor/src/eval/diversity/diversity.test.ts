import { expect, test } from 'vitest';
import { diversity } from './diversity.js';

const answer = (prompt: string, text: string, tokens?: number) => ({ prompt, text, tokens });

test('answers to a prompt are compared with one another, and all with all', () => {
  const found = diversity([answer('p', 'the same words', 3), answer('p', 'the same words', 3), answer('q', 'else', 1)]);
  expect(found).toMatchObject({ prompts: 2, answers: 3, selfBleuOfPrompts: { words: 1, characters: 1 } });
  expect(found.selfBleu!.words).toBeCloseTo(2 / 3, 12);
  expect(found.distinct).toEqual([4 / 7, 2 / 4, 1 / 2]);
  expect(found.lengths.words).toMatchObject({ mean: 7 / 3, median: 3, q05: 1.2 });
  expect(found.lengths.tokens).toMatchObject({ mean: 7 / 3 });
});

test('what cannot be said is left out', () => {
  const found = diversity([answer('p', '😀')]);
  expect(found).toMatchObject({ selfBleu: undefined, selfBleuOfPrompts: undefined, distinct: [1, NaN, NaN] });
  expect(found.lengths).toMatchObject({ characters: { mean: 1 }, tokens: undefined });
  expect(() => diversity([])).toThrow(RangeError);
});
