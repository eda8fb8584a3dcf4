import { folderOf, type ModelPlace } from '../data/index.js';
import { UserError } from '../errors.js';
import { loadTokenizer, type Tokenizer, withTemplatesOf } from '../text/index.js';

/**
 * Makes sure that the tokenizer of the model at `place` gives the same ids, which `idsOf` makes with a tokenizer: with
 * other ones they would mean something else. Chat templates are those of `ours`. Errors: UserError, which ends in
 * `why`.
 */
export async function requireSameTokens(
  place: ModelPlace,
  ours: Tokenizer,
  idsOf: (tokenizer: Tokenizer) => string,
  why: string,
): Promise<void> {
  const theirs = withTemplatesOf(await loadTokenizer(place), ours);
  if (idsOf(theirs) === idsOf(ours)) return;
  throw new UserError(`${folderOf(place)}: its tokenizer gives other tokens than that of ${why}`);
}
