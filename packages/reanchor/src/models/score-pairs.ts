import { setImmediate } from 'node:timers/promises';
import { noGrad, tidy } from '@reanchor/torch';
import { microBatches, packPairs, type TokenizedPair } from '../data/index.js';
import { spanBatch } from '../nn/spans.js';
import { type CausalLM, sequenceLogprobs } from './causal-lm.js';

/** log p(completion | prompt) of the two completions of a pair: sums over their tokens, in nats. */
export interface PairLogprob {
  chosen: number;
  rejected: number;
}

/**
 * The log-probabilities of pairs under a model, in the order given, without gradients. Micro-batches hold at most `tokensPerMicroBatch` packed
 * tokens; the event loop turns between them, and `onProgress` hears how many pairs are done.
 */
export async function scorePairs(
  model: CausalLM,
  pairs: readonly TokenizedPair[],
  options: { tokensPerMicroBatch: number; onProgress?: ((done: number) => void) | undefined },
): Promise<PairLogprob[]> {
  const scores: PairLogprob[] = [];
  for (const group of microBatches(pairs, options.tokensPerMicroBatch)) {
    const packed = packPairs(group);
    const logprobs = tidy(() => noGrad(() => sequenceLogprobs(model, spanBatch(packed, model.dtype)).toList()));
    for (let i = 0; i < logprobs.length; i += 2) scores.push({ chosen: logprobs[i]!, rejected: logprobs[i + 1]! });
    options.onProgress?.(scores.length);
    await setImmediate();
  }
  return scores;
}
