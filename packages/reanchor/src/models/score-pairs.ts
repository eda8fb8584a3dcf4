import { setImmediate } from 'node:timers/promises';
import { noGrad, tidy } from '@reanchor/torch';
import { microBatches, packPairs, type TokenizedPair } from '../data/index.js';
import { UserError } from '../errors.js';
import { spanBatch } from '../nn/spans.js';
import { type CausalLM, sequenceLogprobs } from './causal-lm.js';

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
  options: {
    tokensPerMicroBatch: number;
    onProgress?: ((done: number) => void) | undefined;
    signal?: AbortSignal | undefined;
  },
): Promise<ScoredPair[]> {
  const scores: ScoredPair[] = [];
  requireVocabulary(model, pairs);
  for (const group of microBatches(pairs, options.tokensPerMicroBatch)) {
    const packed = packPairs(group);
    const logprobs = tidy(() => noGrad(() => sequenceLogprobs(model, spanBatch(packed, model.dtype)).toList()));
    for (let i = 0; i < logprobs.length; i += 2) scores.push({ chosen: logprobs[i]!, rejected: logprobs[i + 1]! });
    options.onProgress?.(scores.length);
    await setImmediate();
    options.signal?.throwIfAborted();
  }
  return scores;
}

/**
 * Makes sure that the model has all tokens of the pairs. Errors: UserError that names the first row with a token it
 * does not have.
 */
export function requireVocabulary(model: CausalLM, pairs: readonly TokenizedPair[]): void {
  const [vocabulary] = model.head_VD.shape as [number, number];
  for (const pair of pairs) {
    for (const ids of [pair.prompt, pair.chosen, pair.rejected]) {
      const foreign = ids.find((id) => id >= vocabulary);
      if (foreign === undefined) continue;
      throw new UserError(
        `${pair.file}:${pair.line}: the tokenizer gives token ${foreign}, but the model's vocabulary has ${vocabulary} entries ` +
          '(vocab_size of config.json): tokenizer and weights must belong together',
      );
    }
  }
}
