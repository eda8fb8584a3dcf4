/** The tokenizers of the real data, as values of tokenizer.json. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';

/** Names of the tokenizers in the data folder. */
export const realTokenizers = ['stories260K', 'gpt-neox', 'gpt2', 'llama3'] as const;
export type RealTokenizer = (typeof realTokenizers)[number];

/** The tokenizer.json of a real tokenizer. Llama 3's is made from its ranks, with its BOS token if `bos`. */
export function tokenizerJson(dataFolder: string, name: RealTokenizer, { bos = false } = {}): unknown {
  if (name === 'stories260K')
    return JSON.parse(readFileSync(join(dataFolder, 'models/stories260K/tokenizer.json'), 'utf8'));
  const packed = readFileSync(
    join(dataFolder, 'tokenizers', name, name === 'llama3' ? 'tokenizer.model.gz' : 'tokenizer.json.gz'),
  );
  const text = gunzipSync(packed).toString('utf8');
  return name === 'llama3' ? llama3(text, bos) : JSON.parse(text);
}

const llama3Words =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

/**
 * A byte-level BPE from lines `base64 rank`: a merge makes each piece from each cut into two others, in the order of
 * ranks.
 */
function llama3(text: string, bos: boolean): unknown {
  const names = byteNames();
  const ranks = new Map<string, number>();
  for (const line of text.split('\n').filter(Boolean)) {
    const [piece, rank] = line.split(' ') as [string, string];
    ranks.set([...Buffer.from(piece, 'base64')].map((byte) => names[byte]).join(''), Number(rank));
  }
  const merges: [number, number, number, string, string][] = [];
  for (const [piece, rank] of ranks) {
    for (let cut = 1; cut < piece.length; cut++) {
      const [a, b] = [piece.slice(0, cut), piece.slice(cut)];
      if (ranks.has(a) && ranks.has(b)) merges.push([rank, ranks.get(a)!, ranks.get(b)!, a, b]);
    }
  }
  merges.sort((x, y) => x[0] - y[0] || x[1] - y[1] || x[2] - y[2]);
  const begin = { id: ranks.size, content: '<|begin_of_text|>', special: true };
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: bos ? [{ ...begin, single_word: false, lstrip: false, rstrip: false, normalized: false }] : [],
    normalizer: null,
    pre_tokenizer: {
      type: 'Sequence',
      pretokenizers: [
        { type: 'Split', pattern: { Regex: llama3Words }, behavior: 'Isolated', invert: false },
        { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false },
      ],
    },
    post_processor: bos
      ? {
          type: 'TemplateProcessing',
          single: [{ SpecialToken: { id: begin.content, type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
          pair: [{ Sequence: { id: 'A', type_id: 0 } }, { Sequence: { id: 'B', type_id: 1 } }],
          special_tokens: { [begin.content]: { id: begin.content, ids: [begin.id], tokens: [begin.content] } },
        }
      : null,
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: true,
      vocab: Object.fromEntries(ranks),
      merges: merges.map(([, , , a, b]) => [a, b]),
    },
  };
}

/**
 * The characters that stand for bytes in a byte-level vocabulary: printable ones for themselves, the others from U+0100
 * on.
 */
export function byteNames(): string[] {
  const isPrintable = (byte: number) => (byte > 32 && byte < 127) || (byte > 160 && byte !== 173);
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(isPrintable(byte) ? byte : next++));
}
