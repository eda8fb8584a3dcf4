/** The Rust tokenizers, the oracle of ours. */
import { join } from 'node:path';
import { Tokenizer as RustTokenizer } from '@anush008/tokenizers';
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
