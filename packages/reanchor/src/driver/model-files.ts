/** The files beside the weights of a trained model: with them, others go on from it as it was trained. */
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { foldersOf, type ModelPlace, placeOf } from '../data/index.js';
import { FormatError } from '../errors.js';
import { isRecord, readJson } from '../formats/index.js';
import { stopTokens } from '../generate/index.js';
import type { ConfigJson } from '../models/causal-lm.js';
import { readConfig } from '../models/load.js';
import type { ChatTemplate, Tokenizer } from '../text/index.js';

export interface ModelFiles {
  /** Keys of config.json that differ from those of the model that was trained. */
  config: ConfigJson;
  /** The other files, by their paths. */
  files: ReadonlyMap<string, string | Uint8Array>;
}

/**
 * The files of a model that is trained, or merged, from one that is there: those of its tokenizer, with the chat
 * template that it is trained with where that is another than its own, and a generation_config.json whose
 * `eos_token_id` are all tokens that end what it writes. Errors: UserError, FormatError for files that cannot be read.
 */
export async function modelFiles(
  from: string | ModelPlace,
  tokenizer: Tokenizer,
  chatTemplate: ChatTemplate | undefined,
): Promise<ModelFiles> {
  const ends = await stopTokens(from, tokenizer, chatTemplate);
  const config = ends.length === 0 ? {} : { eos_token_id: ends.length === 1 ? ends[0] : ends };
  const generation = { ...(await generationConfig(placeOf(from), tokenizer)), ...config };
  const files = new Map<string, string | Uint8Array>(tokenizerFiles(tokenizer, chatTemplate));
  if (Object.keys(generation).length > 0) files.set('generation_config.json', json(generation));
  return { config, files };
}

/** Writes files into a folder that is there, by their paths. */
export async function writeFiles(
  folder: string,
  files: Iterable<readonly [string, string | Uint8Array]>,
): Promise<void> {
  for (const [path, content] of files) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), content);
  }
}

/** What config.json may say of generation, where there is no generation_config.json. Source: GenerationConfig. */
const generationKeys = [
  'max_length max_new_tokens min_length do_sample num_beams temperature top_k top_p typical_p min_p repetition_penalty',
  'length_penalty no_repeat_ngram_size bad_words_ids suppress_tokens forced_bos_token_id forced_eos_token_id',
  'bos_token_id pad_token_id',
].flatMap((keys) => keys.split(' '));

/** What the model's folders say of generation, with a padding token only if the model has a row for it. */
async function generationConfig(place: ModelPlace, { bosId }: Tokenizer): Promise<ConfigJson> {
  const config = await readConfig(place.base);
  const file = foldersOf(place)
    .map((folder) => join(folder, 'generation_config.json'))
    .find((one) => existsSync(one));
  const given = file === undefined ? pick(config, generationKeys) : await readObject(file);
  // That it was made from config.json would let transformers 4 make it again.
  const { _from_model_config: _made, _commit_hash: _of, ...own } = given;
  const { pad_token_id: pad, ...rest } = own;
  const isRow =
    typeof pad === 'number' && pad >= 0 && (typeof config.vocab_size !== 'number' || pad < config.vocab_size);
  return { ...(bosId !== undefined && { bos_token_id: bosId }), ...rest, ...(isRow && { pad_token_id: pad }) };
}

const pick = (values: ConfigJson, keys: readonly string[]): ConfigJson =>
  Object.fromEntries(Object.entries(values).filter(([key, value]) => keys.includes(key) && value !== null));

async function readObject(file: string): Promise<ConfigJson> {
  const value = await readJson(file);
  if (isRecord(value)) return value;
  throw new FormatError('not a JSON object', { file });
}

const configFile = 'tokenizer_config.json';
/** Where chat templates are besides tokenizer_config.json. */
const isTemplateFile = (path: string) => /^(chat_template\.(jinja|json)|additional_chat_templates\/.*)$/.test(path);

/** The files of a tokenizer. Another chat template than its own takes the place of all that it has. */
function tokenizerFiles(
  { files, chatTemplate: own }: Tokenizer,
  trained: ChatTemplate | undefined,
): [string, string | Uint8Array][] {
  const isOther = trained !== undefined && trained.source !== own;
  const kept = [...files].filter(([path]) => !isOther || !isTemplateFile(path));
  return [
    ...kept.map(([path, bytes]): [string, string | Uint8Array] =>
      path === configFile ? [path, tokenizerConfig(bytes, isOther)] : [path, bytes],
    ),
    ...(isOther ? [['chat_template.jinja', trained.source] as [string, string]] : []),
  ];
}

/**
 * tokenizer_config.json without the code of a folder that has it, and without chat templates if another one is used.
 */
function tokenizerConfig(bytes: Uint8Array, isOther: boolean): string | Uint8Array {
  const value: unknown = JSON.parse(new TextDecoder().decode(bytes));
  const untrue = ['auto_map', ...(isOther ? ['chat_template'] : [])];
  if (!isRecord(value) || !untrue.some((key) => Object.hasOwn(value, key))) return bytes;
  return json(Object.fromEntries(Object.entries(value).filter(([key]) => !untrue.includes(key))));
}

/**
 * JSON in which whole numbers have all their digits: Python would read 1e30, as JavaScript writes it, as no integer.
 */
function json(value: object): string {
  const isLong = (one: unknown): one is number => Number.isInteger(one) && Math.abs(one as number) >= 1e21;
  const mark = '\u0000';
  const text = JSON.stringify(value, (_key, one) => (isLong(one) ? `${mark}${BigInt(one)}` : one), 2);
  return `${text.replace(/"\\u0000(-?\d+)"/g, '$1')}\n`;
}
