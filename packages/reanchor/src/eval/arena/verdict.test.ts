import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { labelOf, readVerdict, verdictScore, verdicts } from './verdict.js';

const last = (text: string) => readVerdict(text, 'last');
const only = (text: string) => readVerdict(text, 'only');

// Texts in the styles in which judges end; the words are ours.
const endings: [string, string][] = [
  ['My final verdict is tie: [[A=B]]', 'A=B'],
  [
    '## My answer\n1. ...\n\nB leaves out the edge case.\n\nMy final verdict is: Assistant A is slightly better: [[A>B]]',
    'A>B',
  ],
  ['**Verdict**\n\nBoth run, yet only B explains itself. **[[B>A]]**', 'B>A'],
  ['### Final Verdict:\n\n`[[B>>A]]`\n', 'B>>A'],
  ['A is wrong throughout.\n\n4. Assistant B is significantly better: [[B>>A]].', 'B>>A'],
  ['<think>Perhaps [[B>A]]? No.</think>\n\nA wins. [[A>>B]]', 'A>>B'],
  ['Final: [[A>B]]\n\n(To repeat: [[A>B]])', 'A>B'],
  ['La réponse A est meilleure.\n\nVerdict final : [[A>B]]', 'A>B'],
  ['$\\boxed{[[A=B]]}$', 'A=B'],
  ['**Facts**: ((A>>B)). **Style**: ((B>A)). All in all, about equal: [[A=B]]', 'A=B'],
  ['So [[A<B]] it is', 'B>A'],
  ['So [[B<<A]] it is', 'A>>B'],
];

describe('one label, wherever it stands', () => {
  test.each(endings)('%j', (text, verdict) => {
    expect(last(text)).toEqual({ verdict });
    expect(only(text)).toEqual({ verdict });
  });
});

test('of different labels the last one counts in 2.0, none in 0.1', () => {
  const text = 'At first sight [[A>B]]. On a second look the proof of A fails, so my verdict is [[B>A]]';
  expect(last(text)).toEqual({ verdict: 'B>A' });
  expect(only(text)).toEqual({ unparsed: 'contradictory labels' });
});

test('only 2.0 reads single brackets and lower case, and only where there is no label in double brackets', () => {
  expect(last('My final verdict is: [A>B]')).toEqual({ verdict: 'A>B' });
  expect(last('verdict: [[a>>b]]')).toEqual({ verdict: 'A>>B' });
  expect(last('[[B>A]], see [A>B]')).toEqual({ verdict: 'B>A' });
  expect(only('My final verdict is: [A>B]')).toEqual({ unparsed: 'no label' });
  expect(only('verdict: [[a>>b]]')).toEqual({ unparsed: 'no label' });
});

test.each([
  '',
  'Assistant A is better.',
  'Rating: [[8]]',
  '[[A]]',
  '[[A>C]]',
  '[[A>>>B]]',
  '[[AB]]',
  '[[A > B]]',
  'My final verdict is: [[',
  '[[A>B',
  'A>B',
])('no verdict is guessed from %j', (text) => {
  expect(last(text)).toEqual({ unparsed: 'no label' });
  expect(only(text)).toEqual({ unparsed: 'no label' });
});

test('thoughts without an end have no verdict', () => {
  expect(last('<think>Well, [[A>B]] or')).toEqual({ unparsed: 'the thoughts have no end' });
});

test('a text without brackets around a label never has a verdict, and reading never fails', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom('A', 'B', '>', '<', '=', ' ', '\n', 'x') }), (text) => {
      expect(last(text)).toEqual({ unparsed: 'no label' });
    }),
  );
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom('[', ']', 'A', 'B', '>', '=') }), (text) => {
      const read = only(text);
      if ('verdict' in read) expect(text).toMatch(/\[\[(A>>?B|B>>?A|A=B|B=A)\]\]/);
    }),
    { numRuns: 300 },
  );
});

test('turning a label about turns its score about', () => {
  for (const verdict of verdicts) {
    const swapped = labelOf(verdict.replaceAll('A', 'x').replaceAll('B', 'A').replaceAll('x', 'B'))!;
    const [one, other] = [verdictScore(verdict, 3), verdictScore(swapped, 3)];
    expect(other).toEqual({ score: 1 - one.score, weight: one.weight });
  }
  expect(verdicts.map((verdict) => verdictScore(verdict, 3))).toEqual([
    { score: 1, weight: 3 },
    { score: 1, weight: 1 },
    { score: 0.5, weight: 1 },
    { score: 0, weight: 1 },
    { score: 0, weight: 3 },
  ]);
});
