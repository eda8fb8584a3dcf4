import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { processorMs } from '../../../../../tests/support/processor-time.js';
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

// Whole judgments as judges write them: an answer of their own, quotes of both sides, a verdict at the end. The words
// are ours.
const ownAnswer = `## My own answer

\`\`\`python
def rotate(items, k):
    k %= len(items)          # fails for an empty list: [] has no length to divide by
    return items[-k:] + items[:-k]
\`\`\`

The list \`[A]\` stays as it is, and \`matrix[[0, 1]]\` picks two rows.
`;
const comparison = `## Comparing both

**Assistant A** mutates its argument, which nobody asked for; \`while (a >> b)\` in its loop reads like C.
**Assistant B** returns a new list, and says that A > B in speed only where k is small.

| | correct | concise |
|---|---|---|
| A | no: [1] | yes |
| B | yes: [2] | yes |
`;
const options = `The labels were: [[A>>B]] far better, [[A>B]] better, [[A=B]] equal, [[B>A]] and [[B>>A]] the other way about.
`;

describe('whole judgments', () => {
  const judged = (ending: string) => `${ownAnswer}\n${comparison}\n${ending}`;

  test.each([
    ['My final verdict is: Assistant B is slightly better: [[B>A]]', 'B>A'],
    ['### Final verdict\n\n**Assistant B is significantly better: [[B>>A]]**\n\nB is right where A is not.', 'B>>A'],
    ['__Verdict:__ *[[A=B]]*\n', 'A=B'],
    ['> [[A>B]]\r\n', 'A>B'],
    ['1. [[A>B]]\n2. So, once more: [[A>B]]', 'A>B'],
    ['|verdict|\n|---|\n|[[A>>B]]|', 'A>>B'],
  ])('end in a label that both versions read: %j', (ending, verdict) => {
    expect(last(judged(ending))).toEqual({ verdict });
    expect(only(judged(ending))).toEqual({ verdict });
  });

  test.each([
    // A judge that lists the labels, or changes its mind, contradicts itself by the rule of 0.1.
    [`${options}\nMy final verdict is: [[A=B]]`, 'A=B'],
    ['For correctness [[B>>A]], for style [[A>B]], taken together: [[B>A]]', 'B>A'],
    ['First I leaned to [[A>B]]. **Correction**: A fails for empty lists. Final verdict: **[[B>>A]]**', 'B>>A'],
  ])('of several labels the last is the verdict in 2.0, none in 0.1: %j', (ending, verdict) => {
    expect(last(judged(ending))).toEqual({ verdict });
    expect(only(judged(ending))).toEqual({ unparsed: 'contradictory labels' });
  });

  test.each([
    ['Final verdict: [B>A]', 'B>A'],
    ['Final verdict: [[B>A]', 'B>A'],
    ['Final verdict: [[b>>a]]', 'B>>A'],
    ['Final verdict: **[a=b]**', 'A=B'],
  ])('2.0 mends brackets and case, 0.1 does not: %j', (ending, verdict) => {
    expect(last(judged(ending))).toEqual({ verdict });
    expect(only(judged(ending))).toEqual({ unparsed: 'no label' });
  });

  test.each([
    'Final verdict: B>A',
    'Final verdict: **B is significantly better (B>>A)**',
    'Final verdict: [[B > A]]',
    'Final verdict: [[Assistant B]]',
    'Final verdict: \\[\\[B>A\\]\\]',
    // The answer was cut at its longest.
    'In sum, B is slightly better: [[B>',
  ])('end without a label, and are counted as unparsed, also where a person would know: %j', (ending) => {
    expect(last(judged(ending))).toEqual({ unparsed: 'no label' });
    expect(only(judged(ending))).toEqual({ unparsed: 'no label' });
  });

  test('thoughts may try every label; what follows them counts', () => {
    const thoughts = `<think>\n${options}Say [[A>>B]]... no, [[B>A]].\n</think>\n\n`;
    expect(last(`${thoughts}${judged('Final verdict: [[A>B]]')}`)).toEqual({ verdict: 'A>B' });
    expect(only(`${thoughts}${judged('Final verdict: [[A>B]]')}`)).toEqual({ verdict: 'A>B' });
    expect(last(`${thoughts}${judged('They are near.')}`)).toEqual({ unparsed: 'no label' });
  });

  test('a long text of brackets is read at once', () => {
    const started = processorMs();
    for (const unit of ['[', '[[A', '[[A>', '[A>>B', '<think>', ']]']) last(unit.repeat(200_000));
    expect(processorMs() - started).toBeLessThan(2000);
  });
});
