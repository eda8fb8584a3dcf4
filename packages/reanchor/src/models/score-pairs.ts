import { pairGroup, type RowPlace, type TokenizedPair } from '../data/index.js';
import { UserError } from '../errors.js';
import type { CausalLM } from './causal-lm.js';
import type { PassOptions } from './passes.js';
import { scoreCompletions } from './score-completions.js';

/**
 * A number for each of the two completions of a pair: log p(completion | prompt), a sum over its tokens in nats, or the
 * reward made of it.
 */
export interface ScoredPair {
  chosen: number;
  rejected: number;
}

/** The implicit rewards of a pair: beta (log pi - log pi_ref) of each completion. */
export function pairRewards(policy: ScoredPair, reference: ScoredPair, beta: number): ScoredPair {
  return {
    chosen: beta * (policy.chosen - reference.chosen),
    rejected: beta * (policy.rejected - reference.rejected),
  };
}

/**
 * The log-probabilities of pairs under a model, in the order given, without gradients. Micro-batches hold at most
 * `tokensPerMicroBatch` packed tokens; the event loop turns between them, and `onProgress` hears how many pairs are
 * done. Errors: UserError for a token that the model does not have; the signal's reason once it is aborted.
 */
export async function scorePairs(
  model: CausalLM,
  pairs: readonly TokenizedPair[],
  options: PassOptions,
): Promise<ScoredPair[]> {
  requireVocabulary(model, pairs);
  const scores = await scoreCompletions(model, pairs.map(pairGroup), options);
  return scores.map(([chosen, rejected]) => ({ chosen: chosen!, rejected: rejected! }));
}

/** A row of tokens, of whatever kind, and where it comes from. */
type TokenRow = RowPlace & { [Part in 'prompt' | 'chosen' | 'rejected' | 'completion']?: Int32Array };

/**
 * Makes sure that the model has all tokens of the rows. Errors: UserError that names the first row with a token it does
 * not have.
 */
export function requireVocabulary(model: CausalLM, rows: Iterable<TokenRow>): void {
  const [vocabulary] = model.head_VD.shape as [number, number];
  for (const row of rows) {
    for (const ids of [row.prompt, row.chosen, row.rejected, row.completion]) {
      const foreign = ids?.find((id) => id >= vocabulary);
      if (foreign === undefined) continue;
      throw new UserError(
        `${row.file}:${row.line}: the tokenizer gives token ${foreign}, but the model's vocabulary has ${vocabulary} entries ` +
          '(vocab_size of config.json): tokenizer and weights must belong together',
      );
    }
  }
}
