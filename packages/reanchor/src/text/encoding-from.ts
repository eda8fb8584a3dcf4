/** Texts that begin alike, of which the beginning is tokenised once. */
import type { Tokenizer } from './tokenizer.js';

/** A head of fewer characters is read again as fast as it is put in front. */
const shortest = 64;

/**
 * The tokenizer's `encode` for texts of which most begin with `prefix`: the same ids, and what they have in common is
 * read once.
 */
export function encodingFrom(prefix: string, tokenizer: Tokenizer): Tokenizer['encode'] {
  const border = tokenizer.endsWordsAtSpaces ? lastBorder(prefix) : 0;
  const around = border < shortest ? undefined : specialsOf(tokenizer);
  if (around === undefined) return (text, options) => tokenizer.encode(text, options);
  const plain = (text: string) => tokenizer.encode(text, { addSpecialTokens: false });
  const head = prefix.slice(0, border);
  let headIds: number[] | undefined;
  return (text, options = {}) => {
    if (!text.startsWith(head) || text[border] !== ' ') return tokenizer.encode(text, options);
    headIds ??= plain(head);
    const ids = headIds.concat(plain(text.slice(border)));
    return options.addSpecialTokens === false ? ids : [...around.before, ...ids, ...around.after];
  };
}

/** The last place of a text at which a word always ends; 0 where there is none. */
function lastBorder(text: string): number {
  for (let at = text.lastIndexOf(' '); at > 0; at = text.lastIndexOf(' ', at - 1)) {
    if (/[\p{L}\p{N}]/u.test(text[at - 1]!)) return at;
  }
  return 0;
}

interface Specials {
  before: readonly number[];
  after: readonly number[];
}

/** The special tokens that a tokenizer puts around every text; undefined where they are not of that kind. */
function specialsOf(tokenizer: Tokenizer): Specials | undefined {
  if (!known.has(tokenizer)) known.set(tokenizer, findSpecials(tokenizer));
  return known.get(tokenizer);
}
const known = new WeakMap<Tokenizer, Specials | undefined>();

function findSpecials({ encode }: Tokenizer): Specials | undefined {
  const around = ['a', 'b c'].map((text) => {
    const [ids, all] = [encode(text, { addSpecialTokens: false }), encode(text)];
    const at = all.findIndex((_, i) => ids.every((id, j) => all[i + j] === id));
    return at < 0 ? undefined : { before: all.slice(0, at), after: all.slice(at + ids.length) };
  });
  return JSON.stringify(around[0]) === JSON.stringify(around[1]) ? around[0] : undefined;
}
