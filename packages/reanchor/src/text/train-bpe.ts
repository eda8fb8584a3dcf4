/** Byte-level BPE learnt from text: the tokenizer files of a model that starts from nothing. */

export interface BpeOptions {
  /** Tokens in all: the special token, 256 bytes, the rest merges. At least 257. */
  vocabSize: number;
  /** The token that begins and ends a text; its id is 0. */
  endOfText?: string | undefined;
}

/** The values of the two files of a tokenizer's folder. */
export interface BpeFiles {
  /** tokenizer.json. */
  definition: object;
  /** tokenizer_config.json. */
  config: object;
}

/** GPT-2's words: a tokenizer.json with the pre-tokenizer `ByteLevel` cuts a text so before it is merged. */
const words = /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu;

/**
 * A byte-level BPE tokenizer (Sennrich et al. 2016, over bytes as in GPT-2) for the texts: beginning with the 256
 * bytes, the most frequent pair of neighbours within words becomes a token, until there are `vocabSize` tokens or no
 * pair occurs twice. Among equally frequent pairs the one with the smaller ids wins, so equal texts give equal
 * tokenizers. {@link loadTokenizer} and Hugging Face's tokenizers read the result. Errors: RangeError for a vocabulary
 * that does not hold the bytes.
 */
export function trainBpe(texts: Iterable<string>, { vocabSize, endOfText = '<|endoftext|>' }: BpeOptions): BpeFiles {
  const characters = byteCharacters();
  const tokens = [endOfText, ...[...characters].sort((a, b) => (a < b ? -1 : 1))];
  if (vocabSize < tokens.length) {
    throw new RangeError(`a vocabulary of ${vocabSize} tokens does not hold the ${tokens.length} of the bytes`);
  }
  const idOfByte = characters.map((character) => tokens.indexOf(character));
  const pairs = new PairCounts(wordCounts(texts, idOfByte));
  const merges: [string, string][] = [];
  while (tokens.length < vocabSize) {
    const best = pairs.mostFrequent();
    if (!best) break;
    pairs.merge(best, tokens.length);
    const [left, right] = best.map((id) => tokens[id]!) as [string, string];
    merges.push([left, right]);
    tokens.push(left + right);
  }
  return tokenizerFiles(tokens, merges, endOfText);
}

interface Word {
  ids: number[];
  count: number;
}

function wordCounts(texts: Iterable<string>, idOfByte: readonly number[]): Word[] {
  const counts = new Map<string, number>();
  for (const text of texts) {
    for (const [word] of Buffer.from(text).toString().matchAll(words)) counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  const encoder = new TextEncoder();
  return [...counts].map(([word, count]) => ({
    ids: Array.from(encoder.encode(word), (byte) => idOfByte[byte]!),
    count,
  }));
}

type Pair = [left: number, right: number];

/** How often each pair of neighbours occurs; a merge visits only the words that have its pair. */
class PairCounts {
  readonly #words: Word[];
  /** By pair: occurrences, and the words that have or once had it. */
  readonly #pairs = new Map<number, { count: number; words: Set<Word> }>();

  constructor(words: Word[]) {
    this.#words = words;
    for (const word of this.#words) this.#add(word, 1);
  }

  mostFrequent(): Pair | undefined {
    let best = -1;
    let most = 1;
    for (const [key, { count }] of this.#pairs) {
      if (count > most || (count === most && best !== -1 && key < best)) [best, most] = [key, count];
    }
    return best === -1 ? undefined : [Math.floor(best / keyBase), best % keyBase];
  }

  /** Makes one token, `id`, of every occurrence of a pair, from left to right. */
  merge([left, right]: Pair, id: number): void {
    const key = left * keyBase + right;
    const { words } = this.#pairs.get(key)!;
    for (const word of words) {
      this.#add(word, -1);
      const merged: number[] = [];
      for (let i = 0; i < word.ids.length; i++) {
        const isPair = word.ids[i] === left && word.ids[i + 1] === right;
        merged.push(isPair ? id : word.ids[i]!);
        if (isPair) i++;
      }
      word.ids = merged;
      this.#add(word, 1);
    }
    this.#pairs.delete(key);
  }

  #add(word: Word, sign: 1 | -1): void {
    for (let i = 1; i < word.ids.length; i++) {
      const key = word.ids[i - 1]! * keyBase + word.ids[i]!;
      let pair = this.#pairs.get(key);
      if (!pair) {
        pair = { count: 0, words: new Set() };
        this.#pairs.set(key, pair);
      }
      pair.count += sign * word.count;
      if (sign === 1) pair.words.add(word);
    }
  }
}

/** More than any id. */
const keyBase = 2 ** 24;

/** The character that stands for each byte: itself if it is printable, else one from U+0100 on, in order (GPT-2). */
function byteCharacters(): string[] {
  let next = 0x100;
  return Array.from({ length: 256 }, (_, byte) => {
    const isPrintable = (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad);
    return String.fromCharCode(isPrintable ? byte : next++);
  });
}

function tokenizerFiles(tokens: readonly string[], merges: readonly [string, string][], endOfText: string): BpeFiles {
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true };
  const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
  return {
    definition: {
      version: '1.0',
      truncation: null,
      padding: null,
      added_tokens: [{ id: 0, content: endOfText, ...flags }],
      normalizer: null,
      pre_tokenizer: byteLevel,
      post_processor: null,
      decoder: byteLevel,
      model: {
        type: 'BPE',
        dropout: null,
        unk_token: null,
        continuing_subword_prefix: null,
        end_of_word_suffix: null,
        fuse_unk: false,
        byte_fallback: false,
        ignore_merges: false,
        vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
        merges,
      },
    },
    config: {
      tokenizer_class: 'PreTrainedTokenizerFast',
      bos_token: endOfText,
      eos_token: endOfText,
      pad_token: endOfText,
      clean_up_tokenization_spaces: false,
    },
  };
}
