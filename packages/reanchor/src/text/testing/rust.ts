/** The Rust tokenizers, the oracle of ours. */
import { join } from 'node:path';
import { Tokenizer as RustTokenizer } from '@anush008/tokenizers';
import fc from 'fast-check';
import { expect } from 'vitest';
import { readJsonl } from '../../formats/index.js';
import { parseTokenizer } from '../tokenizer.js';

export interface Oracle {
  encode(text: string): Promise<number[]>;
  decode(ids: number[], skipSpecialTokens: boolean): Promise<string>;
}

/** What the Rust library makes of the value of a tokenizer.json. */
export function rustTokenizer(tokenizerJson: unknown): Oracle {
  const tokenizer = RustTokenizer.fromString(JSON.stringify(tokenizerJson));
  return {
    encode: async (text) => Array.from((await tokenizer.encode(text, null, { addSpecialTokens: true })).getIds()),
    decode: (ids, skipSpecialTokens) => tokenizer.decode(ids, skipSpecialTokens),
  };
}

/** How many texts the two libraries encode differently. */
export async function compareOnTexts(
  tokenizerJson: unknown,
  texts: AsyncIterable<string>,
): Promise<{ texts: number; differences: number }> {
  const [ours, rust] = [parseTokenizer(tokenizerJson), rustTokenizer(tokenizerJson)];
  const result = { texts: 0, differences: 0 };
  for await (const text of texts) {
    result.texts++;
    if (ours.encode(text).join() !== (await rust.encode(text)).join()) result.differences++;
  }
  return result;
}

/** The first `count` transcripts of the Anthropic HH files in the data folder. */
export async function* hhTexts(dataFolder: string, count: number): AsyncGenerator<string> {
  let given = 0;
  for (const part of ['helpful-base', 'harmless-base', 'helpful-rejection-sampled']) {
    for await (const { value } of readJsonl(join(dataFolder, `preference/hh-${part}.jsonl.gz`))) {
      for (const side of ['chosen', 'rejected']) {
        if (given++ === count) return;
        yield (value as Record<string, string>)[side]!;
      }
    }
  }
}

// biome-ignore format: a table
const pieces = [
  '\ufeff', '\u0085', '\u2028', '\u2029', '\u00a0', '\u200b', '\u200d', '\u3000', '\u180e', '\u001c', '\u0000',
  '\ud800', '\n', '\r\n', '\t', ' ', '  ', '▁', '-', '--', '!?', '.', '$', '`', '+', '€', '😀', '👩‍👩‍👧', 'é',
  'e\u0301', '\u0300', 'ﬁ', '中', '한', 'Hello', ' the', 'ing', "'s", "'LL", 'ß', 'İ', 'Σ', '1', '23', '½', 'Ⅷ', '٣',
  '_', '</s>', '<s>', '<|endoftext|>', '<0x0A>',
];
/** Blocks that have long been full: the libraries know different versions of Unicode. */
const blocks = [
  [0x0000, 0x02ff],
  [0x0300, 0x036f],
  [0x0391, 0x03c9],
  [0x0400, 0x045f],
  [0x0621, 0x066d],
  [0x0905, 0x094d],
  [0x2000, 0x2064],
  [0x2100, 0x23e6],
  [0x3041, 0x3096],
  [0x4e00, 0x9fa5],
  [0xac00, 0xd7a3],
  [0xff01, 0xff5e],
  [0x1f300, 0x1f320],
] as const;
const character = fc
  .constantFrom(...blocks)
  .chain(([first, last]) => fc.integer({ min: first, max: last }))
  .map((code) => String.fromCodePoint(code));
/** Random texts of many scripts, rich in white space and other characters on which libraries differ. */
export const unicodeText = fc
  .array(fc.oneof({ weight: 2, arbitrary: fc.constantFrom(...pieces) }, character), { maxLength: 20 })
  .map((parts) => parts.join(''));

/** Random texts have the ids that Rust gives them. */
export async function expectSameIds(
  definition: unknown,
  parameters: fc.Parameters<[string]>,
  texts = unicodeText,
): Promise<void> {
  const [ours, rust] = [parseTokenizer(definition), rustTokenizer(definition)];
  await fc.assert(
    fc.asyncProperty(texts, async (text) => {
      expect(ours.encode(text)).toEqual(await rust.encode(text.replace(/\p{Surrogate}/gu, '\ufffd')));
    }),
    parameters,
  );
}

/** Random ids have the texts that Rust gives them. */
export async function expectSameTexts(definition: unknown): Promise<void> {
  const [ours, rust] = [parseTokenizer(definition), rustTokenizer(definition)];
  const ids = fc.array(fc.integer({ min: 0, max: ours.vocabSize + 2 }), { maxLength: 10 });
  await fc.assert(
    fc.asyncProperty(ids, fc.boolean(), async (ids, skipSpecialTokens) => {
      expect(ours.decode(ids, { skipSpecialTokens })).toBe(await rust.decode(ids, skipSpecialTokens));
    }),
    { numRuns: 1000 },
  );
}
