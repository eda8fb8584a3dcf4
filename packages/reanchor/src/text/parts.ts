/**
 * The parts of a tokenizer.json, said in terms that the JavaScript library computes as the Rust library does.
 *
 * The two differ where a part is a regular expression or white space: JavaScript's \s has U+FEFF and lacks U+0085, \d
 * and \w are ASCII, and the library reads some options as others. In a `Split` the library uses Unicode properties
 * throughout, so most parts are rewritten to that. Parts that cannot be said so are refused: wrong token ids would go
 * unnoticed.
 */
import { isRecord } from '../formats/index.js';

interface Part {
  type?: string;
  [option: string]: unknown;
}

/** The words of GPT-2's byte-level tokenizer. */
const byteLevelWords = String.raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`;
const punctuation = String.raw`[\p{P}!-\/:-@\[-\x60{-~]`;
const word = String.raw`\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\u200C\u200D`;
const anything = String.raw`[\s\S]`;

/** What the library makes an equal tokenizer of. */
export interface Portable {
  definition: object;
  /** Is done to each text before it is encoded. */
  prepare: (text: string) => string;
}

/**
 * What to give the library in place of the value of a tokenizer.json. Errors: Error that names the part it cannot do.
 */
export function portable(definition: unknown): Portable {
  if (!isPart(definition) || !isPart(definition.model)) throw new Error('it has no model');
  const { model, normalizer = null, pre_tokenizer = null, post_processor = null, decoder = null } = definition;
  const added = definition.added_tokens ?? [];
  if (!Array.isArray(added) || !added.every((token) => isPart(token) && typeof token.content === 'string')) {
    throw new Error('added_tokens is not a list of tokens');
  }
  const whole = added.find((token) => token.single_word);
  if (whole) throw new Error(`added token ${JSON.stringify(whole.content)} with single_word is not supported`);
  checkModel(model);
  const strips = added.filter((token) => token.normalized === false && (token.lstrip || token.rstrip));
  return {
    definition: {
      ...definition,
      added_tokens: added.map((token) => (strips.includes(token) ? { ...token, lstrip: false, rstrip: false } : token)),
      normalizer: mapPart(normalizer, 'normalizer', normalizers),
      pre_tokenizer: wordsOf(pre_tokenizer, model),
      post_processor: mapPart(post_processor, 'post-processor', postProcessors),
      decoder: mapPart(decoder, 'decoder', decoders),
    },
    prepare: strips.length > 0 ? (text) => stripAround(added, wellFormed(text)) : wellFormed,
  };
}

/** The text with U+FFFD for each half of a surrogate pair that stands alone, as it is in UTF-8. */
const wellFormed = (text: string) => (loneSurrogate.test(text) ? text.replace(loneSurrogates, '\ufffd') : text);
const loneSurrogate = /\p{Surrogate}/u;
const loneSurrogates = /\p{Surrogate}/gu;

/**
 * The text without the white space that tokens with `lstrip` have on their left, and those with `rstrip` on their
 * right.
 */
function stripAround(added: readonly Part[], text: string): string {
  const contents = added.filter((token) => token.normalized === false).map((token) => token.content as string);
  const longestFirst = contents.sort((a, b) => b.length - a.length).map(escapeRegex);
  const token = `(${longestFirst.join('|')})`;
  const strips = (side: 'lstrip' | 'rstrip', content: string) => added.some((t) => t.content === content && t[side]);
  return (
    text
      // From the start of the white space alone: from each of its characters would take the square of its length.
      .replace(new RegExp(String.raw`(?:(?<!\p{White_Space})\p{White_Space}+)?${token}`, 'gu'), (all, content) =>
        strips('lstrip', content) ? content : all,
      )
      .replace(new RegExp(String.raw`${token}\p{White_Space}*`, 'gu'), (all, content) =>
        strips('rstrip', content) ? content : all,
      )
  );
}

function checkModel({ type = 'BPE', vocab, merges, dropout, continuing_subword_prefix }: Part): void {
  if (type !== 'BPE') throw new Error(`model ${type} is not supported; BPE is`);
  if (!isPart(vocab) || !Array.isArray(merges)) throw new Error('a BPE model needs vocab and merges');
  if (dropout) throw new Error('BPE dropout is not supported: set it to null');
  if (continuing_subword_prefix) throw new Error('a BPE with continuing_subword_prefix is not supported');
}

type Rewrite = (part: Part) => Part | null;
const same: Rewrite = (part) => part;

/** Sequences in each other; published tokenizers have one. */
const maxDepth = 16;

function mapPart(part: unknown, kind: string, known: Readonly<Record<string, Rewrite>>, depth = 0): Part | null {
  if (part === null) return null;
  if (depth > maxDepth) throw new Error(`the ${kind}'s parts lie in each other more than ${maxDepth} deep`);
  if (!isPart(part)) throw new Error(`the ${kind} is not an object`);
  const list = lists[kind]!;
  if (part.type === 'Sequence' && Array.isArray(part[list])) {
    return { type: 'Sequence', [list]: part[list].map((inner) => mapInner(inner, kind, known, depth + 1)) };
  }
  const rewrite = Object.hasOwn(known, part.type ?? '') ? known[part.type!] : undefined;
  if (!rewrite)
    throw new Error(`${kind} ${part.type} is not supported; supported: ${Object.keys(known).join(', ')}, Sequence`);
  return rewrite(part);
}

/** A part of a sequence, which may not be left out. */
const mapInner: typeof mapPart = (part, kind, ...rest) => {
  if (part === null) throw new Error(`the ${kind} has a part that is null`);
  return mapPart(part, kind, ...rest);
};

/** The name under which a sequence of each kind holds its parts. */
const lists: Readonly<Record<string, string>> = {
  normalizer: 'normalizers',
  'pre-tokenizer': 'pretokenizers',
  'post-processor': 'processors',
  decoder: 'decoders',
};

const split = (regex: string, behavior: string) => splitBy({ pattern: { Regex: regex }, behavior });
const preTokenizerSequence = (...parts: (Part | null)[]): Part => ({ type: 'Sequence', pretokenizers: parts });
/** `$` has a meaning in a JavaScript replacement. */
const literalContent: Rewrite = (part) => ({ ...part, content: String(part.content ?? '').replaceAll('$', '$$$$') });

const normalizers: Readonly<Record<string, Rewrite>> = {
  NFC: same,
  NFD: same,
  NFKC: same,
  NFKD: same,
  Prepend: same,
  StripAccents: same,
  Replace: literalContent,
  Strip: ({ strip_left, strip_right }) => {
    const ends = [...(strip_left ? [String.raw`\A\s+`] : []), ...(strip_right ? [String.raw`\s+\z`] : [])];
    return {
      type: 'Sequence',
      normalizers: ends.map((end) => ({ type: 'Replace', pattern: { Regex: end }, content: '' })),
    };
  },
};

const preTokenizers: Readonly<Record<string, Rewrite>> = {
  ByteLevel: ({ add_prefix_space, use_regex = true }) =>
    preTokenizerSequence(
      // With a space for its mark, this is the prefix space alone.
      add_prefix_space ? { type: 'Metaspace', replacement: ' ', prepend_scheme: 'always' } : null,
      use_regex ? split(byteLevelWords, 'Isolated') : null,
      { type: 'ByteLevel', add_prefix_space: false, use_regex: false },
    ),
  Split: splitBy,
  Metaspace: ({ replacement = '▁', prepend_scheme, add_prefix_space = true, split: splits = true }) =>
    preTokenizerSequence(
      { type: 'Metaspace', replacement, prepend_scheme: prepend_scheme ?? (add_prefix_space ? 'always' : 'never') },
      splits ? splitBy({ pattern: { String: replacement }, behavior: 'MergedWithNext' }) : null,
    ),
  Punctuation: ({ behavior = 'Isolated' }) => split(punctuation, String(behavior)),
  Digits: ({ individual_digits }) => split(String.raw`\p{N}`, individual_digits ? 'Isolated' : 'Contiguous'),
  Whitespace: () =>
    splitBy({ pattern: { Regex: String.raw`[${word}]+|[^${word}\s]+` }, behavior: 'Removed', invert: true }),
  WhitespaceSplit: () => split(String.raw`\s`, 'Removed'),
  CharDelimiterSplit: ({ delimiter }) => splitBy({ pattern: { String: delimiter }, behavior: 'Removed' }),
  BertPreTokenizer: () => preTokenizerSequence(split(String.raw`\s`, 'Removed'), split(punctuation, 'Isolated')),
};

const postProcessors: Readonly<Record<string, Rewrite>> = {
  ByteLevel: same,
  TemplateProcessing: same,
  BertProcessing: same,
  RobertaProcessing: same,
};

const decoders: Readonly<Record<string, Rewrite>> = {
  ByteLevel: same,
  ByteFallback: same,
  Fuse: same,
  Strip: same,
  BPEDecoder: same,
  Replace: literalContent,
  Metaspace: (part) => {
    const never =
      part.prepend_scheme === 'never' || (part.prepend_scheme === undefined && part.add_prefix_space === false);
    if (!never) return part;
    return { type: 'Replace', pattern: { String: part.replacement ?? '▁' }, content: ' ' };
  },
};

/**
 * A split whose matches are pieces of their own ("Isolated") or dropped ("Removed"), the two that the library knows.
 * The other behaviours become patterns over the delimiter and what is around it. An inverted split drops what does not
 * match.
 */
function splitBy({ pattern, behavior, invert = false }: Part): Part {
  const { Regex, String: text } = isPart(pattern) ? pattern : {};
  if (typeof Regex !== 'string' && typeof text !== 'string') throw new Error('pre-tokenizer Split has no pattern');
  const delimiter = typeof Regex === 'string' ? `(?:${Regex})` : `(?:${escapeRegex(text as string)})`;
  const other = `(?:(?!${delimiter})${anything})`;
  const result = (regex: string, how: 'Isolated' | 'Removed', inverted: boolean) => ({
    type: 'Split',
    pattern: { Regex: regex },
    behavior: how,
    invert: inverted,
  });
  const name = String(behavior).toLowerCase();
  // Pieces are the same whichever of them are called the matches.
  if (name === 'isolated') return result(delimiter, 'Isolated', false);
  if (name === 'removed') {
    if (!invert && hasCapture(delimiter))
      throw new Error('pre-tokenizer Split, removed, with a capturing group is not supported');
    return result(delimiter, 'Removed', invert === true);
  }
  if (invert) throw new Error(`pre-tokenizer Split, inverted, with behavior ${behavior} is not supported`);
  if (name === 'contiguous') return result(`${delimiter}+`, 'Isolated', false);
  if (name === 'mergedwithprevious') return result(`${other}*${delimiter}|${other}+`, 'Isolated', false);
  if (name === 'mergedwithnext') return result(`${delimiter}${other}*|${other}+`, 'Isolated', false);
  throw new Error(`pre-tokenizer Split with behavior ${behavior} is not supported`);
}

function wordsOf(preTokenizer: unknown, model: Part): Part | null {
  if (preTokenizer === null) return wordStarts(model);
  const part = mapPart(preTokenizer, 'pre-tokenizer', preTokenizers);
  const isWhole = isPart(preTokenizer) && preTokenizer.type === 'Metaspace' && preTokenizer.split === false;
  return isWhole && (preTokenizer.replacement ?? '▁') === '▁' ? preTokenizerSequence(part, wordStarts(model)) : part;
}

/**
 * For a BPE that takes texts as a whole (Llama 2), a split before each word. It changes no id where no merge joins the
 * end of a word with the "▁" that begins the next one, and spares the library from searching whole texts for the next
 * merge.
 */
function wordStarts({ vocab, merges, ignore_merges, end_of_word_suffix }: Part): Part | null {
  const joinsWords = (merge: unknown) =>
    /[^▁]▁/.test(Array.isArray(merge) ? merge.join('') : String(merge).replace(' ', ''));
  if (ignore_merges || end_of_word_suffix || !Object.hasOwn(vocab as object, '▁')) return null;
  return (merges as unknown[]).some(joinsWords) ? null : split('▁*[^▁]+|▁+', 'Isolated');
}

const escapeRegex = (text: string) => text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');

const hasCapture = (regex: string) => /(?<!\\)\((?!\?)/.test(regex);

function isPart(value: unknown): value is Part {
  return isRecord(value);
}
