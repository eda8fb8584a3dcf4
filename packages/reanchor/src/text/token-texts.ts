import type { Tokenizer } from './tokenizer.js';

/**
 * The text of each token as it stands in the middle of a text, with the space that a decoder takes off at the start. A
 * token that ends inside a character is an ellipsis, and the token that completes it has the whole character.
 */
export function tokenTexts(ids: Iterable<number>, tokenizer: Tokenizer): string[] {
  const anchor = tokenizer.encode('a', { addSpecialTokens: false });
  const start = tokenizer.decode(anchor).length;
  const text = (some: readonly number[]) => tokenizer.decode([...anchor, ...some]).slice(start);
  const texts: string[] = [];
  let open: number[] = [];
  for (const id of ids) {
    const alone = text([id]);
    if (open.length === 0 && !alone.includes(unfinished)) {
      texts.push(alone);
      continue;
    }
    open.push(id);
    const together = text(open);
    const isWhole = !together.includes(unfinished);
    // A character has four bytes at most: what is not one by then is none.
    const isHopeless = !isWhole && open.length >= 4;
    texts.push(isWhole ? together : isHopeless ? alone : '\u2026');
    if (isWhole || isHopeless) open = [];
  }
  return texts;
}

/** What decoders write for bytes that are no character. */
const unfinished = '\ufffd';
