/**
 * The tokens that files beside tokenizer.json name, as transformers 5.18 takes them: which are the special ones, and
 * which are added to those of tokenizer.json. Source: its tokenization_utils_base.py and
 * tokenization_utils_tokenizers.py.
 */
import { isRecord } from '../formats/index.js';
import { classDefaults, type JsonObject } from './tokenizer-class.js';

/** The values of files beside tokenizer.json; an empty object for one that there is not. */
export interface TokenFiles {
  /** tokenizer_config.json. */
  config: JsonObject;
  /** special_tokens_map.json, which transformers has stopped to write, and reads of old folders. */
  specialTokens: JsonObject;
  /** added_tokens.json, of old folders too: ids by token. */
  addedTokens: JsonObject;
}

const named = ['bos_token', 'eos_token', 'unk_token', 'sep_token', 'pad_token', 'cls_token', 'mask_token'];

/**
 * The text of a special token, such as that of `eos_token`, and the file that names it. Where tokenizer_config.json
 * lists added_tokens_decoder (folders of transformers 4.35 to 4.57) special_tokens_map.json does not count; in older
 * and newer folders it counts first. Without a file, the class may have one.
 */
export function specialToken(
  key: string,
  { config, specialTokens }: TokenFiles,
  className: string | undefined,
): { token: string | undefined; file: string | undefined } {
  const isInMap = config.added_tokens_decoder === undefined && Object.hasOwn(specialTokens, key);
  if (isInMap) return { token: tokenText(specialTokens[key]), file: 'special_tokens_map.json' };
  if (Object.hasOwn(config, key)) return { token: tokenText(config[key]), file: 'tokenizer_config.json' };
  return { token: tokenText(classDefaults(className)[key]), file: undefined };
}

/**
 * All named special tokens, which chat templates see as variables: the seven, every other `*_token` (such as
 * `image_token`), and those that `extra_special_tokens` names. Where several files name one, the order is that of
 * transformers.
 */
export function namedTokens(files: TokenFiles, className: string | undefined): Record<string, string> {
  const { config } = files;
  const map = config.added_tokens_decoder === undefined ? files.specialTokens : {};
  const others = (file: JsonObject, isTaken: (value: unknown) => boolean) =>
    Object.entries(file).filter(([key, value]) => /_token$/.test(key) && !named.includes(key) && isTaken(value));
  const extra = ({ extra_special_tokens: value }: JsonObject) => (isRecord(value) ? Object.entries(value) : []);
  const found = [
    ...named.map((key) => [key, specialToken(key, files, className).token] as const),
    ...others(config, isRecord),
    ...others(map, () => true),
    ...others(config, (value) => typeof value === 'string'),
    ...extra(config),
    ...extra(map),
  ];
  return Object.fromEntries(
    found.flatMap(([key, value]) => {
      const text = tokenText(value);
      return text === undefined ? [] : [[key, text]];
    }),
  );
}

function tokenText(value: unknown): string | undefined {
  const text = isRecord(value) ? value.content : value;
  return typeof text === 'string' && text !== '' ? text : undefined;
}

interface Token extends JsonObject {
  content: string;
}
const isToken = (value: unknown): value is Token => isRecord(value) && typeof value.content === 'string';

/**
 * The definition with the tokens that the other files add: those of added_tokens_decoder, else of added_tokens.json,
 * then the special ones. What the vocabulary has keeps its id, the others get the next ones. EOS and BOS are not made
 * up: a model has no use for one that it does not know. Errors: Error for a list that leaves out tokens of
 * tokenizer.json.
 */
export function withAddedTokens(definition: JsonObject, files: TokenFiles, className: string | undefined): JsonObject {
  const { model, added_tokens: own = [] } = definition;
  const vocab = isRecord(model) && isRecord(model.vocab) ? model.vocab : undefined;
  if (!vocab || !Array.isArray(own) || !own.every(isToken)) return definition;
  const { added_tokens_decoder: decoder } = files.config;
  const special = specialTexts(files, className);
  const listed = isRecord(decoder) ? decoderTokens(decoder) : oldTokens(files.addedTokens, own, special);
  if (isRecord(decoder) && className !== undefined) refuseForgotten(own, listed, className);
  const tokens = new Map<string, JsonObject>(own.map((token) => [token.content, token]));
  let next = Math.max(
    Object.keys(vocab).length,
    ...own.map(({ id }) => (Number.isSafeInteger(id) ? Number(id) + 1 : 0)),
  );
  const add = (token: Token) => {
    const { content } = token;
    const known = tokens.get(content)?.id ?? (Object.hasOwn(vocab, content) ? vocab[content] : undefined);
    tokens.set(content, { ...token, id: known ?? next++ });
  };
  for (const token of listed) add(token);
  for (const { content, isNeeded } of special) {
    const isNew = isNeeded || Object.hasOwn(vocab, content);
    if (isNew && !tokens.has(content)) add({ content, normalized: false, special: true });
  }
  return { ...definition, added_tokens: [...tokens.values()] };
}

const sortedBy = (values: JsonObject, id: (entry: [string, unknown]) => number) =>
  Object.entries(values).sort((a, b) => id(a) - id(b));

/** The tokens of an added_tokens_decoder, { id: token }; their flags count before those in tokenizer.json. */
const decoderTokens = (decoder: JsonObject): Token[] =>
  sortedBy(decoder, ([id]) => Number(id)).flatMap(([, token]) =>
    isToken(token) && token.content !== '' ? [token] : [],
  );

/** The tokens of an added_tokens.json, { token: id }, that tokenizer.json lacks. */
const oldTokens = (added: JsonObject, own: readonly Token[], special: readonly SpecialText[]): Token[] =>
  sortedBy(added, ([, id]) => Number(id)).flatMap(([content]) => {
    const isSpecial = special.some((one) => one.content === content);
    const isKnown = own.some((token) => token.content === content);
    return isKnown || content === '' ? [] : [{ content, normalized: !isSpecial, special: isSpecial }];
  });

function refuseForgotten(own: readonly Token[], listed: readonly Token[], className: string): void {
  const forgotten = own.find(({ content }) => !listed.some((token) => token.content === content));
  if (!forgotten) return;
  throw new Error(
    `added_tokens_decoder of tokenizer_config.json leaves out ${JSON.stringify(forgotten.content)}, ` +
      `and ${className} of transformers then does not know it: add it, or take added_tokens_decoder out`,
  );
}

interface SpecialText {
  content: string;
  /** Whether it is added to a vocabulary that does not have it. */
  isNeeded: boolean;
}

/** All special tokens that are named. */
function specialTexts(files: TokenFiles, className: string | undefined): SpecialText[] {
  const { config } = files;
  const map = config.added_tokens_decoder === undefined ? files.specialTokens : {};
  const others = [config, map].flatMap((file) => [file.extra_special_tokens, file.additional_special_tokens]);
  const more = [
    ...others.flatMap((value) => (isRecord(value) ? Object.values(value) : Array.isArray(value) ? value : [])),
    ...Object.entries(config).flatMap(([key, value]) => (/_token$/.test(key) && !named.includes(key) ? [value] : [])),
  ].map(tokenText);
  return [
    ...named.map((key) => {
      const { token: content, file } = specialToken(key, files, className);
      return { content, isNeeded: file !== undefined && !['eos_token', 'bos_token'].includes(key) };
    }),
    ...more.map((content) => ({ content, isNeeded: true })),
  ].filter((one): one is SpecialText => one.content !== undefined);
}
