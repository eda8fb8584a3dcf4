// Ours against the Rust library: on every kind of part, with a vocabulary that shows where words end, and on real
// texts.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { dataFolder, fixtures } from '../../../../tests/support/repository.js';
import { byteNames, tokenizerJson } from './testing/real-tokenizers.js';
import { compareOnTexts, expectSameIds, expectSameTexts, hhTexts } from './testing/rust.js';

/** Byte-level BPE without merges whose tokens say whether they end a word. */
function wordEnds(parts: Record<string, unknown>): unknown {
  const names = byteNames();
  const vocab = Object.fromEntries([...names, ...names.map((name) => `${name}</w>`)].map((name, id) => [name, id]));
  return {
    added_tokens: [
      { id: 512, content: '</s>', special: true, single_word: false, lstrip: false, rstrip: false, normalized: false },
    ],
    normalizer: null,
    pre_tokenizer: null,
    post_processor: null,
    decoder: null,
    model: { type: 'BPE', unk_token: null, end_of_word_suffix: '</w>', vocab, merges: [] },
    ...parts,
  };
}

const bytes = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false };
const split = (pattern: Record<string, string>, behavior: string, invert = false) => ({
  type: 'Split',
  pattern,
  behavior,
  invert,
});

const preTokenizers: Record<string, unknown>[] = [
  { ...bytes, use_regex: true },
  { ...bytes, add_prefix_space: true },
  { ...bytes, add_prefix_space: true, use_regex: true },
  ...['Isolated', 'Removed', 'MergedWithPrevious', 'MergedWithNext', 'Contiguous'].flatMap((behavior) => [
    split({ Regex: String.raw`\s` }, behavior),
    split({ Regex: String.raw`[^\s\p{L}]` }, behavior),
    split({ Regex: String.raw`[\S&&\w]|\W\D` }, behavior),
    split({ String: '-' }, behavior),
    { type: 'Punctuation', behavior },
  ]),
  split({ Regex: String.raw`\s+` }, 'Isolated', true),
  split({ Regex: String.raw`\S+` }, 'Removed', true),
  split({ Regex: String.raw`\s+(?!\S)|\s+|\d{1,3}|[^\s\d]+` }, 'Isolated'),
  { type: 'Digits', individual_digits: true },
  { type: 'Digits', individual_digits: false },
  { type: 'Whitespace' },
  { type: 'WhitespaceSplit' },
  { type: 'CharDelimiterSplit', delimiter: '-' },
  { type: 'BertPreTokenizer' },
  { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always', split: true },
  { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always', split: false },
  { type: 'Metaspace', replacement: '▁', prepend_scheme: 'first', split: true },
  { type: 'Metaspace', replacement: '▁', prepend_scheme: 'never', split: true },
];

const normalizers: Record<string, unknown>[] = [
  ...['NFC', 'NFD', 'NFKC', 'NFKD', 'StripAccents'].map((type) => ({ type })),
  { type: 'Prepend', prepend: '▁' },
  { type: 'Strip', strip_left: true, strip_right: true },
  { type: 'Strip', strip_left: true, strip_right: false },
  { type: 'Strip', strip_left: false, strip_right: true },
  { type: 'Replace', pattern: { String: ' ' }, content: '▁' },
  { type: 'Replace', pattern: { Regex: String.raw`\s+` }, content: '$&' },
  { type: 'Sequence', normalizers: [{ type: 'NFKC' }, { type: 'Replace', pattern: { String: '-' }, content: '$1' }] },
];

describe('every part is as in Rust', () => {
  const byteLevel = (part: unknown) => ({ type: 'Sequence', pretokenizers: [part, bytes] });
  const cases = [
    ...preTokenizers.map((part) => [
      part,
      wordEnds({ pre_tokenizer: part.type === 'ByteLevel' ? part : byteLevel(part) }),
    ]),
    ...normalizers.map((part) => [part, wordEnds({ normalizer: part, pre_tokenizer: { ...bytes, use_regex: true } })]),
  ].map(([part, definition]) => ({ name: JSON.stringify(part), definition }));

  test.each(cases)('$name', async ({ definition }) => {
    await expectSameIds(definition, { numRuns: 500 });
  });
});

describe('added tokens are as in Rust', () => {
  const definition = wordEnds({ pre_tokenizer: { ...bytes, use_regex: true }, normalizer: { type: 'NFC' } }) as {
    added_tokens: Record<string, unknown>[];
  };
  const [plain] = definition.added_tokens;
  test.each([
    ['lstrip', { lstrip: true }],
    ['rstrip', { rstrip: true }],
    ['both', { lstrip: true, rstrip: true }],
    ['normalized', { normalized: true, special: false }],
  ])('%s', async (_name, options) => {
    const added = [
      plain!,
      { ...plain, ...options, id: 513, content: '<m>' },
      { ...plain, ...options, id: 514, content: '<mm>' },
      { ...plain, id: 515, content: '<n>', special: false },
    ];
    const parts = fc.constantFrom(
      '<m>',
      '<m>-',
      '<n>',
      '</s>',
      ' ',
      '\n',
      '\u0085',
      '\ufeff',
      '\u3000',
      '-',
      'a',
      'b c',
      'e\u0301',
    );
    const texts = fc.array(parts, { maxLength: 10 }).map((all) => all.join(''));
    await expectSameIds({ ...definition, added_tokens: added }, { numRuns: 1000 }, texts);
  });
});

describe('the tokenizer of the fixtures is as in Rust', () => {
  const definition = JSON.parse(readFileSync(join(fixtures, 'models/llama-tiny/tokenizer.json'), 'utf8')) as unknown;

  test('ids of random texts', () => expectSameIds(definition, { numRuns: 2000 }));
  test('texts of random ids', () => expectSameTexts(definition));
});

describe.skipIf(!dataFolder)('real tokenizers are as in Rust', () => {
  test.each(['stories260K', 'gpt-neox', 'gpt2'] as const)('%s on random texts and ids', async (name) => {
    const definition = tokenizerJson(dataFolder!, name);
    await expectSameIds(definition, { numRuns: 1000 });
    await expectSameTexts(definition);
  });

  test.each(['stories260K', 'gpt-neox'] as const)('%s on 1,000 real texts', async (name) => {
    expect(await compareOnTexts(tokenizerJson(dataFolder!, name), hhTexts(dataFolder!, 1000))).toEqual({
      texts: 1000,
      differences: 0,
    });
  });
});
