/**
 * What a class of transformers makes of a tokenizer.json. Transformers 5 builds some tokenizers anew from the
 * vocabulary; whether a space is put in front of a text is then said by tokenizer_config.json or the class, not by
 * tokenizer.json. Source: transformers 5.18, tokenization_auto.py and the classes' own files;
 * tests/fixtures/tokenizer-configs.
 */
import { isRecord } from '../formats/index.js';

export type JsonObject = Readonly<Record<string, unknown>>;

interface TokenizerClass {
  /** Of byte-level words, or of pieces that begin with "▁". */
  words: 'bytes' | 'pieces';
  /** The tokens that no file has to name. */
  defaults: Readonly<Record<string, string>>;
}

const endOfText = '<|endoftext|>';
const pieces: TokenizerClass = {
  words: 'pieces',
  defaults: { bos_token: '<s>', eos_token: '</s>', unk_token: '<unk>' },
};
const bytes = {
  words: 'bytes',
  defaults: { bos_token: endOfText, eos_token: endOfText, unk_token: endOfText },
} as const;

/** The classes that build a tokenizer anew, among those of the supported models. */
const classes: Readonly<Record<string, TokenizerClass>> = {
  LlamaTokenizer: pieces,
  CodeLlamaTokenizer: pieces,
  GPT2Tokenizer: bytes,
  GPTNeoXTokenizer: { ...bytes, defaults: { ...bytes.defaults, pad_token: '<|padding|>' } },
  Qwen2Tokenizer: { ...bytes, defaults: { eos_token: endOfText, unk_token: endOfText, pad_token: endOfText } },
};

/** The classes of models, where transformers has one for them; any tokenizer of a Mistral is as its tokenizer.json. */
const classOfModel: Readonly<Record<string, string>> = {
  gpt_neox: 'GPTNeoXTokenizer',
  qwen2: 'Qwen2Tokenizer',
  qwen3: 'Qwen2Tokenizer',
  mistral: 'TokenizersBackend',
};

/** The class that transformers takes for a folder, if it is one that builds the tokenizer anew. */
export function tokenizerClass(config: JsonObject, modelConfig: JsonObject): string | undefined {
  const type = modelConfig.model_type;
  const ofModel = typeof type === 'string' && Object.hasOwn(classOfModel, type) ? classOfModel[type] : undefined;
  const given = [config.tokenizer_class, modelConfig.tokenizer_class].find((name) => typeof name === 'string');
  const named = given === undefined ? ofModel : (given as string).replace(/Fast$/, '');
  // That class is known to be named wrongly in folders of Qwen2.
  const name = type === 'qwen2' || type === 'mistral' ? ofModel : named;
  return name !== undefined && Object.hasOwn(classes, name) ? name : undefined;
}

/** The special tokens of a class that no file has to name, by their keys. */
export const classDefaults = (name: string | undefined): JsonObject =>
  name === undefined ? {} : classes[name]!.defaults;

/** The definition with a space in front of texts where the class puts one, and without where it does not. */
export function withPrefixSpace(definition: JsonObject, name: string | undefined, config: JsonObject): JsonObject {
  if (name === undefined) return definition;
  const { add_prefix_space: given } = config;
  if (classes[name]!.words === 'bytes') {
    return { ...definition, pre_tokenizer: setPrefixSpace(definition.pre_tokenizer, given === true) };
  }
  if (!isOfPieces(definition)) return definition;
  const isPrefixed = given !== false;
  const always = name === 'LlamaTokenizer' && config.legacy === true;
  const prepend_scheme = !isPrefixed ? 'never' : always ? 'always' : 'first';
  const strip = isPrefixed || name === 'CodeLlamaTokenizer' ? [{ type: 'Strip', content: ' ', start: 1, stop: 0 }] : [];
  return {
    ...definition,
    normalizer: null,
    pre_tokenizer: { type: 'Metaspace', replacement: '▁', prepend_scheme, split: false },
    decoder: {
      type: 'Sequence',
      decoders: [
        { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
        { type: 'ByteFallback' },
        { type: 'Fuse' },
        ...strip,
      ],
    },
  };
}

function setPrefixSpace(part: unknown, add_prefix_space: boolean): unknown {
  if (!isRecord(part)) return part;
  if (part.type === 'ByteLevel') return { ...part, add_prefix_space };
  if (part.type !== 'Sequence' || !Array.isArray(part.pretokenizers)) return part;
  const inner = part.pretokenizers as readonly unknown[];
  // Only the last one is byte-level; sequences in sequences are nobody's.
  return {
    ...part,
    pretokenizers: inner.map((one) =>
      isRecord(one) && one.type === 'Sequence' ? one : setPrefixSpace(one, add_prefix_space),
    ),
  };
}

/** Whether nothing is done to texts but to write "▁" for spaces, and perhaps one in front. */
function isOfPieces({ normalizer, pre_tokenizer: words }: JsonObject): boolean {
  const normalizers: unknown[] =
    isRecord(normalizer) && Array.isArray(normalizer.normalizers) ? normalizer.normalizers : [normalizer ?? []].flat();
  const isMetaspace =
    isRecord(words) && words.type === 'Metaspace' && words.replacement === '▁' && words.split === false;
  const marks = normalizers.every(
    (one) =>
      isRecord(one) &&
      ((one.type === 'Prepend' && one.prepend === '▁') ||
        (one.type === 'Replace' && one.content === '▁' && isRecord(one.pattern) && one.pattern.String === ' ')),
  );
  return marks && (isMetaspace || (normalizers.length > 0 && (words === null || words === undefined)));
}
