/** The Rust tokenizers, the oracle of ours. */
import { Tokenizer as RustTokenizer } from '@anush008/tokenizers';

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
