import { type PreferenceRow, type TokenizedPair, type TokenizeOptions, tokenizePairs } from '../data/index.js';
import { UserError } from '../errors.js';
import { loadTokenizer } from '../text/tokenizer.js';

/**
 * Makes sure that the tokenizer of the model folder `folder` gives the tokens of `pairs`, by the first of them: with
 * another tokenizer they would mean something else. Errors: UserError, which ends in `why`.
 */
export async function requireSameTokens(
  folder: string,
  rows: readonly PreferenceRow[],
  pairs: readonly TokenizedPair[],
  options: TokenizeOptions,
  why: string,
): Promise<void> {
  const sample = pairs.slice(0, 32);
  const indices = new Set(sample.map(({ index }) => index));
  const theirs = tokenizePairs(
    rows.filter(({ index }) => indices.has(index)),
    await loadTokenizer(folder),
    options,
  );
  const ids = (some: readonly TokenizedPair[]) =>
    some.map(({ prompt, chosen, rejected }) => [prompt, chosen, rejected].join());
  if (ids(sample).join(';') === ids(theirs.pairs).join(';')) return;
  throw new UserError(`${folder}: its tokenizer gives other tokens than that of ${why}`);
}
