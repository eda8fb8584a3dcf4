/**
 * Where a text can be cut so that the ids of its two parts are those of the whole: tokenizers read words one by one,
 * and all that are known here end one between a letter or a digit and a space.
 *
 * Why it holds: none of the patterns below has an alternative that matches a letter or a digit and then a space, so a
 * word always ends there, whatever follows. A match before it can look ahead as far as that space, which is there in
 * every text that begins so; none looks back, so that words after it do not depend on what was before.
 */
import { isRecord } from '../formats/index.js';

/** The patterns of words that are known, by the first model that had them. */
export const wordPatterns = {
  gpt2: String.raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`,
  llama3: String.raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
  qwen2: String.raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
  gpt4o: [
    String.raw`[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?`,
    String.raw`[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?`,
    String.raw`\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
  ].join('|'),
};
const knownWords = new Set(Object.values(wordPatterns));

/**
 * Whether a tokenizer with this definition ends a word between a letter or a digit and a space, always. Tokenizers that
 * are not known to do so (SentencePiece's, other patterns) have texts read as a whole.
 */
export function endsWordsAtSpaces(definition: unknown): boolean {
  if (!isRecord(definition)) return false;
  const { normalizer, pre_tokenizer: preTokenizer, added_tokens: added = [] } = definition;
  // NFC joins nothing with a space in front of it.
  if (normalizer && !(isRecord(normalizer) && normalizer.type === 'NFC')) return false;
  const parts = partsOf(preTokenizer);
  if (!parts.every(isLocal) || !parts.some(splitsWords)) return false;
  return Array.isArray(added) && added.every(isWithinWords);
}

type Part = Readonly<Record<string, unknown>>;

function partsOf(part: unknown): Part[] {
  if (!isRecord(part)) return [];
  return part.type === 'Sequence' && Array.isArray(part.pretokenizers) ? part.pretokenizers.flatMap(partsOf) : [part];
}

const isBytes = ({ type, add_prefix_space: addsSpace }: Part) => type === 'ByteLevel' && addsSpace === false;

const splitsWords = (part: Part): boolean => {
  const { type, use_regex: usesWords, pattern, behavior, invert } = part;
  if (isBytes(part)) return usesWords !== false;
  const isKnown = isRecord(pattern) && knownWords.has(String(pattern.Regex));
  return type === 'Split' && isKnown && behavior === 'Isolated' && invert !== true;
};

const isLocal = (part: Part): boolean => part.type === 'Digits' || isBytes(part) || splitsWords(part);

/** Whether an added token lies on neither side of such a place, and takes no space from beside itself. */
const isWithinWords = (token: unknown): boolean =>
  isRecord(token) && !token.lstrip && !token.rstrip && !/[\p{L}\p{N}] /u.test(String(token.content));
