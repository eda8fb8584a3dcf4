import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { dataFolder } from '../../../../tests/support/repository.js';
import { encodingFrom } from './encoding-from.js';
import { realTokenizers, tokenizerJson } from './testing/real-tokenizers.js';
import { parseTokenizer, type Tokenizer } from './tokenizer.js';
import { trainBpe } from './train-bpe.js';
import { endsWordsAtSpaces, wordPatterns } from './word-borders.js';

const english =
  "Human: What's the capital of France? I've read it's 2,000 years old.\n\nAssistant: It is Paris, naïvely put. ";
const trained = trainBpe([english.repeat(4), 'naïve café 平和  of the'], { vocabSize: 380 }).definition as Definition;

interface Definition {
  pre_tokenizer: unknown;
  normalizer: unknown;
  added_tokens: object[];
  [part: string]: unknown;
}

const token = { lstrip: false, rstrip: false, single_word: false, special: false, normalized: false };
const bytes = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false };
const byWords = (regex: string): Definition => ({
  ...trained,
  pre_tokenizer: {
    type: 'Sequence',
    pretokenizers: [{ type: 'Split', pattern: { Regex: regex }, behavior: 'Isolated', invert: false }, bytes],
  },
});
const digits: Definition = {
  ...trained,
  pre_tokenizer: {
    type: 'Sequence',
    pretokenizers: [
      { type: 'Digits', individual_digits: true },
      { ...bytes, use_regex: true },
    ],
  },
};
const start = { id: 'start', ids: [0], tokens: ['<|endoftext|>'] };
const withStart: Definition = {
  ...byWords(wordPatterns.llama3),
  post_processor: {
    type: 'TemplateProcessing',
    single: [{ SpecialToken: { id: 'start', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
    pair: [],
    special_tokens: { start },
  },
};
const runsOfSpaces: Definition = {
  ...trained,
  normalizer: { type: 'NFC' },
  added_tokens: [
    ...trained.added_tokens,
    ...['  ', '    '].map((content, i) => ({ id: 380 + i, content, ...token, normalized: true })),
  ],
};

/** What words and their ends are made of. */
const piece = fc.oneof(
  fc.constantFrom(' ', '  ', '    ', '\n\n', ' \n', '\t', "'s", "'LL", "'", '3', '1234', '<|endoftext|>', '.', '...\n'),
  fc.constantFrom(
    'e\u0301',
    '\u0301',
    ' \u0301',
    '\u00e9',
    '平和',
    '\ud83d\ude00',
    '\ud83d',
    '\ude00',
    'ﬁ',
    '\u00a0',
    '\u0085',
  ),
  fc.constantFrom('the', ' of', 'Assistant:', 'naïve', 'IT', 'x'),
  fc.string({ unit: 'binary', maxLength: 4 }),
);
const text = (most: number) => fc.array(piece, { maxLength: most }).map((pieces) => pieces.join(''));

function expectSameIds(tokenizer: Tokenizer, numRuns: number): void {
  expect(tokenizer.endsWordsAtSpaces).toBe(true);
  let cut = 0;
  const property = fc.property(text(12), text(8), fc.boolean(), (end, rest, addSpecialTokens) => {
    const prefix = english + end;
    const spied: string[] = [];
    const encode: Tokenizer['encode'] = (given, options) => {
      spied.push(given);
      return tokenizer.encode(given, options);
    };
    const from = encodingFrom(prefix, { ...tokenizer, encode });
    for (const given of [prefix, prefix + rest, rest, prefix.slice(0, -3) + rest]) {
      expect(from(given, { addSpecialTokens })).toEqual(tokenizer.encode(given, { addSpecialTokens }));
    }
    if (spied.every((given) => given !== prefix + rest)) cut++;
  });
  fc.assert(property, { numRuns });
  // Otherwise nothing was tried.
  expect(cut).toBeGreaterThan(numRuns / 4);
}

describe('a text that is read from a border of words on has the ids of the whole', () => {
  test.each<[string, Definition]>([
    ['GPT-2', trained],
    ...Object.entries(wordPatterns).map(([name, words]): [string, Definition] => [
      `the words of ${name}`,
      byWords(words),
    ]),
    ['SmolLM', digits],
    ['a start token', withStart],
    ['runs of spaces as tokens, NFC', runsOfSpaces],
  ])('%s', (_, definition) => {
    expectSameIds(parseTokenizer(definition), 600);
  });

  const real =
    dataFolder === undefined
      ? []
      : realTokenizers.filter((name) => endsWordsAtSpaces(tokenizerJson(dataFolder!, name)));
  test.skipIf(dataFolder === undefined)('real ones', () => {
    expect(real.length).toBeGreaterThanOrEqual(2);
    for (const name of real) expectSameIds(parseTokenizer(tokenizerJson(dataFolder!, name)), 400);
  });
});

test('what is not known to end words at spaces is read as a whole', () => {
  const added = (more: object) => ({ ...trained, added_tokens: [{ id: 0, content: 'x', ...token, ...more }] });
  const others: unknown[] = [
    'none',
    { ...trained, pre_tokenizer: null },
    { ...trained, pre_tokenizer: { ...bytes, use_regex: true, add_prefix_space: true } },
    { ...trained, pre_tokenizer: bytes },
    { ...trained, normalizer: { type: 'Prepend', prepend: '▁' } },
    byWords(String.raw`\p{L}+ ?`),
    added({ content: 'of the' }),
    added({ rstrip: true }),
  ];
  expect(others.map(endsWordsAtSpaces)).toEqual(others.map(() => false));
  expect(endsWordsAtSpaces(trained)).toBe(true);
});
