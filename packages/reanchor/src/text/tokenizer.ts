/**
 * Tokenizers of Hugging Face folders: tokenizer.json through @huggingface/tokenizers, made to agree with the Rust
 * library.
 */
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Tokenizer as JsTokenizer } from '@huggingface/tokenizers';
import { FormatError, shown, UserError, unreadable } from '../errors.js';
import { isRecord, readFile } from '../formats/index.js';
import { type Portable, portable } from './parts.js';
import { hasForeignPattern } from './patterns.js';
import { namedTokens, specialToken, type TokenFiles, withAddedTokens } from './special-tokens.js';
import { TimeLimitError, withinTime } from './time-limit.js';
import { tokenizerClass, withPrefixSpace } from './tokenizer-class.js';
import { endsWordsAtSpaces } from './word-borders.js';

/** Text to token ids and back. */
export interface Tokenizer {
  /**
   * The token ids of a text. `addSpecialTokens` (true by default) lets the tokenizer add what its post-processor says,
   * such as BOS. Special tokens that the text spells out are always recognised.
   */
  encode(text: string, options?: { addSpecialTokens?: boolean | undefined }): number[];
  /** The text of token ids; ids that no token has are left out, special tokens with `skipSpecialTokens` too. */
  decode(ids: Iterable<number>, options?: { skipSpecialTokens?: boolean | undefined }): string;
  readonly eosToken: string | undefined;
  readonly eosId: number | undefined;
  readonly bosToken: string | undefined;
  readonly bosId: number | undefined;
  readonly padToken: string | undefined;
  readonly padId: number | undefined;
  /** The special tokens that have a name, such as `eos_token`, by their names: templates are given them. */
  readonly specialTokens: Readonly<Record<string, string>>;
  /** One more than the largest id. */
  readonly vocabSize: number;
  /** The Jinja source of its chat template, if it has one. */
  readonly chatTemplate: string | undefined;
  /** That of the template which its folder has for chats with tools (`tool_use`), if it has one of its own. */
  readonly toolTemplate: string | undefined;
  /** The tokenizer's files, chat templates included, for a folder that a model is saved to. */
  readonly files: ReadonlyMap<string, Uint8Array>;
  /** Whether a word always ends between a letter or a digit and a space, so that a text can be cut there. */
  readonly endsWordsAtSpaces: boolean;
  /** What it was made from, for another thread; undefined where it was made from values. */
  readonly origin: TokenizerOrigin | undefined;
}

/** The files of a tokenizer, and what else decides its ids. */
export interface TokenizerOrigin {
  files: ReadonlyMap<string, Uint8Array>;
  /** The value of the model's config.json. */
  modelConfig: unknown;
  /** The name of the definition in messages. */
  file: string;
}

const definition = 'tokenizer.json';
const config = 'tokenizer_config.json';
const specialTokens = 'special_tokens_map.json';
const addedTokens = 'added_tokens.json';
const templateFile = 'chat_template.jinja';
const templateJson = 'chat_template.json';
/** A folder of chat templates besides the default one, such as one for tools. */
const namedTemplates = 'additional_chat_templates';

/** Everything that belongs to a tokenizer's folder; the last three are not read here. */
const tokenizerFiles = [
  definition,
  config,
  specialTokens,
  addedTokens,
  templateFile,
  templateJson,
  'tokenizer.model',
  'vocab.json',
  'merges.txt',
];

/** Where the files of a tokenizer are: in the folder of a model, or in that of an adapter on it. */
interface TokenizerPlace {
  base: string;
  adapter?: string | undefined;
}

/**
 * The tokenizer of a Hugging Face folder: tokenizer.json, and what the files beside it say of it, as transformers 5.18
 * reads them: special and added tokens, the class, which a model's config.json may decide. An adapter's folder may have
 * the tokenizer, or the chat template, that the base was given with it. Errors: UserError for a folder without
 * tokenizer.json; FormatError for files that are not JSON, not a tokenizer, or one that is not supported.
 */
export async function loadTokenizer(at: string | TokenizerPlace): Promise<Tokenizer> {
  const { base, adapter } = typeof at === 'string' ? { base: at } : at;
  if (adapter === undefined) return tokenizerIn(base, base);
  if (!existsSync(join(adapter, definition))) {
    const template = join(adapter, templateFile);
    return tokenizerIn(base, base, existsSync(template) ? await readFile(template) : undefined);
  }
  const own = await tokenizerIn(adapter, base);
  if (own.chatTemplate !== undefined || !existsSync(join(base, definition))) return own;
  const { chatTemplate } = await tokenizerIn(base, base);
  return chatTemplate === undefined ? own : tokenizerIn(adapter, base, new TextEncoder().encode(chatTemplate));
}

/** The tokenizer in a folder, for the model in another, with the text of another chat template where one is given. */
async function tokenizerIn(folder: string, model: string, template?: Uint8Array): Promise<Tokenizer> {
  let names: string[];
  try {
    names = await readdir(folder);
  } catch (cause) {
    throw new UserError(`${unreadable(folder, cause)}: name a Hugging Face folder with ${definition}`, { cause });
  }
  if (!names.includes(definition)) {
    const slow = ['tokenizer.model', 'vocab.json', 'vocab.txt'].filter((name) => names.includes(name));
    const found = slow.length > 0 ? `; ${slow.join(', ')} alone is not read` : '';
    throw new UserError(
      `${folder} has no ${definition}${found}: name a Hugging Face folder (of a run, its final/), or write the file with transformers: ` +
        'AutoTokenizer.from_pretrained(folder).save_pretrained(folder)',
    );
  }
  const files = new Map<string, Uint8Array>();
  const more = names.includes(namedTemplates) ? await readdir(join(folder, namedTemplates)).catch(() => []) : [];
  const templates = more.filter((name) => name.endsWith('.jinja')).map((name) => `${namedTemplates}/${name}`);
  for (const name of [...tokenizerFiles.filter((one) => names.includes(one)), ...templates]) {
    files.set(name, await readFile(join(folder, name)));
  }
  if (template) files.set(templateFile, template);
  const configFile = join(model, 'config.json');
  const modelConfig = existsSync(configFile) ? parseJson(await readFile(configFile), configFile) : undefined;
  return tokenizerOf({ files, modelConfig, file: join(folder, definition) });
}

/** The tokenizer of some files. Errors: FormatError as in {@link loadTokenizer}. */
export function tokenizerOf(origin: TokenizerOrigin): Tokenizer {
  const { files, modelConfig, file } = origin;
  const json = (name: string) => {
    const bytes = files.get(name);
    return bytes && parseJson(bytes, join(dirname(file), name));
  };
  const beside = { config: json(config), specialTokens: json(specialTokens), addedTokens: json(addedTokens) };
  return { ...parseTokenizer(json(definition), { ...beside, modelConfig, file, files }), origin };
}

/** The time for a text where patterns are limited, and more for long ones; usual is a hundredth. */
const patternMs = 500;

/** What is known of a tokenizer besides its definition. */
export interface TokenizerSource {
  /** The values of tokenizer_config.json, special_tokens_map.json, added_tokens.json and the model's config.json. */
  config?: unknown;
  specialTokens?: unknown;
  addedTokens?: unknown;
  modelConfig?: unknown;
  /** The name of the definition in messages. */
  file?: string;
  files?: ReadonlyMap<string, Uint8Array>;
}

/** The tokenizer that the value of a tokenizer.json defines. Errors: FormatError as in {@link loadTokenizer}. */
export function parseTokenizer(
  tokenizerJson: unknown,
  { file = definition, files = new Map(), ...beside }: TokenizerSource = {},
): Tokenizer {
  const objectOf = (value: unknown) => (isRecord(value) ? value : {});
  const config = objectOf(beside.config);
  const named = { config, specialTokens: objectOf(beside.specialTokens), addedTokens: objectOf(beside.addedTokens) };
  const className = tokenizerClass(config, objectOf(beside.modelConfig));
  const { library, prepare, isLimited, endsWordsAtSpaces } = libraryOf(
    tokenizerJson,
    (json) => asTransformers(json, named, className),
    file,
  );
  const limited = limitedIn(file, isLimited);
  const special = (key: string) => {
    const { token, file: by } = specialToken(key, named, className);
    const id = token === undefined ? undefined : library.token_to_id(token);
    if (token !== undefined && id === undefined && by !== undefined) {
      throw new FormatError(
        `${key} ${shown(token)} of ${by} is not in the vocabulary: name one that is, or add it and give the model a row for it`,
        { file },
      );
    }
    return id === undefined ? { token: undefined, id } : { token, id };
  };
  const eos = special('eos_token');
  const bos = special('bos_token');
  const pad = special('pad_token');
  const cleanUp = config.clean_up_tokenization_spaces === true;
  return {
    encode: (text, { addSpecialTokens = true } = {}) =>
      limited(text.length, () => library.encode(prepare(text), { add_special_tokens: addSpecialTokens }).ids),
    decode: (ids, { skipSpecialTokens = false } = {}) => {
      const known = [...ids].filter((id) => library.id_to_token(id) !== undefined);
      if (known.length === 0) return '';
      const options = { skip_special_tokens: skipSpecialTokens, clean_up_tokenization_spaces: cleanUp };
      return limited(known.length, () => library.decode(known, options));
    },
    eosToken: eos.token,
    eosId: eos.id,
    bosToken: bos.token,
    bosId: bos.id,
    padToken: pad.token,
    padId: pad.id,
    specialTokens: namedTokens(named, className),
    vocabSize: library.model.vocab.length,
    chatTemplate: chatTemplateText('default', config, files),
    toolTemplate: chatTemplateText('tool_use', config, files),
    files,
    endsWordsAtSpaces,
    origin: undefined,
  };
}

/** The library's tokenizer of a definition that `change` changes, and what makes texts ready. Errors: FormatError. */
function libraryOf(
  tokenizerJson: unknown,
  change: (tokenizerJson: unknown) => unknown,
  file: string,
): { library: Library; prepare: Portable['prepare']; isLimited: boolean; endsWordsAtSpaces: boolean } {
  let library: Library;
  let prepare: Portable['prepare'];
  let isLimited: boolean;
  let hasBorders: boolean;
  try {
    const changed = change(tokenizerJson);
    const source = portable(changed);
    hasBorders = endsWordsAtSpaces(changed);
    library = new JsTokenizer(source.definition, {});
    prepare = source.prepare;
    const { normalizer, pre_tokenizer, decoder } = tokenizerJson as Record<string, unknown>;
    isLimited = hasForeignPattern([normalizer, pre_tokenizer, decoder]);
  } catch (cause) {
    throw new FormatError(`not a supported tokenizer: ${(cause as Error).message}`, { file, cause });
  }
  mendByteFallback(library.decoder);
  cacheWords(library);
  return { library, prepare, isLimited, endsWordsAtSpaces: hasBorders };
}

/**
 * Runs what reads a text of `length`, with the file named where it fails. A pattern of the file's own may take without
 * end on some text; a long text may take longer.
 */
const limitedIn =
  (file: string, isLimited: boolean) =>
  <T>(length: number, compute: () => T): T => {
    try {
      return isLimited ? withinTime(patternMs + Math.floor(length / 100), compute) : compute();
    } catch (cause) {
      // The library takes the file for what it should be.
      if (!(cause instanceof TimeLimitError)) {
        throw new FormatError(`not a supported tokenizer: ${(cause as Error).message}`, { file, cause });
      }
      throw new FormatError(
        `a regular expression in it takes too long for a text of ${length} characters (${cause.message}): use a tokenizer with another one`,
        { file, cause },
      );
    }
  };

/** The definition as transformers changes it by the files beside it. Errors: Error. */
function asTransformers(definition: unknown, files: TokenFiles, className: string | undefined): unknown {
  if (files.config.split_special_tokens === true) {
    throw new Error('split_special_tokens of tokenizer_config.json is not supported: set it to false');
  }
  if (!isRecord(definition)) return definition;
  return withAddedTokens(withPrefixSpace(definition, className, files.config), files, className);
}

/** What is used of the library, whose own declarations do not resolve under Node's module rules. */
interface Library {
  encode(text: string, options: { add_special_tokens: boolean }): { ids: number[] };
  decode(ids: number[], options: { skip_special_tokens: boolean; clean_up_tokenization_spaces: boolean }): string;
  token_to_id(token: string): number | undefined;
  id_to_token(id: number): string | undefined;
  pre_tokenizer: PreTokenizer | null;
  model: Model;
  decoder: Decoder | null;
}

interface PreTokenizer {
  (text: string): string[];
  /** Of a sequence. */
  tokenizers?: (PreTokenizer | null)[];
  config?: { type: string };
}

interface Model {
  (words: string[]): string[];
  vocab: string[];
}

interface Decoder {
  config: { type: string };
  /** Of a sequence. */
  decoders?: Decoder[];
  /** Of a byte fallback. */
  text_decoder?: { decode(bytes: Uint8Array): string };
}

/**
 * Keeps the tokens of the words seen, by the word itself: the library turns each word into byte characters before it
 * looks into its own cache, which takes most of its time.
 */
function cacheWords(library: Library): void {
  const { model } = library;
  const toBytes = popByteLevel(library.pre_tokenizer);
  const cache = new Map<string, string[]>();
  const tokensOf = (word: string): string[] => {
    const cached = cache.get(word);
    if (cached) return cached;
    const tokens = model(toBytes ? toBytes(word) : [word]);
    if (cache.size >= 1 << 16) cache.clear();
    if (word.length <= 64) cache.set(word, tokens);
    return tokens;
  };
  const call = (words: string[]) => {
    const tokens: string[] = [];
    for (const word of words) for (const token of tokensOf(word)) tokens.push(token);
    return tokens;
  };
  library.model = new Proxy(model, { apply: (_target, _this, [words]) => call(words as string[]) });
}

/** Takes the byte-level step off the end of a sequence of pre-tokenizers. */
function popByteLevel(preTokenizer: PreTokenizer | null): PreTokenizer | undefined {
  const steps = preTokenizer?.tokenizers;
  const last = steps?.at(-1);
  if (!steps || !last) return undefined;
  if (last.tokenizers) return popByteLevel(last);
  return last.config?.type === 'ByteLevel' ? (steps.pop() as PreTokenizer) : undefined;
}

/** Bytes that are no UTF-8 give one U+FFFD each, and U+FEFF stays, as in the Rust library. */
function mendByteFallback(decoder: Decoder | null): void {
  decoder?.decoders?.forEach(mendByteFallback);
  if (decoder?.config.type !== 'ByteFallback') return;
  const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  const decode = (bytes: Uint8Array) => {
    try {
      return strict.decode(bytes);
    } catch {
      return '\ufffd'.repeat(bytes.length);
    }
  };
  decoder.text_decoder = { decode };
}

/**
 * The source of a chat template by its name: of a file of its own, else in tokenizer_config.json, which may have
 * several, else in chat_template.json; what has no name is `default`.
 */
function chatTemplateText(name: string, config: unknown, files: ReadonlyMap<string, Uint8Array>): string | undefined {
  const whole = files.get(templateFile);
  const file = name === 'default' ? whole : files.get(`${namedTemplates}/${name}.jinja`);
  if (file) return new TextDecoder().decode(file);
  if (whole) return undefined;
  const json = files.get(templateJson);
  const sources = [config, json && parseJson(json, templateJson)].filter(isRecord);
  const given = sources.map((source) => source.chat_template).find((value) => value !== undefined && value !== null);
  const entry: unknown = Array.isArray(given)
    ? given.find((one: unknown) => isRecord(one) && one.name === name)
    : { template: isRecord(given) ? given[name] : name === 'default' ? given : undefined };
  return isRecord(entry) && typeof entry.template === 'string' ? entry.template : undefined;
}

function parseJson(bytes: Uint8Array, file: string): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new FormatError('not JSON: fetch the file again', { file, cause });
  }
}
