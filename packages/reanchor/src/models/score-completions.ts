import { setImmediate } from 'node:timers/promises';
import { noGrad, tidy } from '@reanchor/torch';
import { type Group, groupTokens, microBatches, packGroups } from '../data/index.js';
import { spanBatch } from '../nn/spans.js';
import { type CausalLM, sequenceLogprobs } from './causal-lm.js';

export interface ScoreCompletionsOptions {
  /** Default: 4,096, or as many as the largest group has. */
  tokensPerMicroBatch?: number | undefined;
  /** Hears how many groups are done. */
  onProgress?: ((done: number) => void) | undefined;
  signal?: AbortSignal | undefined;
}

/**
 * log p(completion | prompt) of every completion of every group under a model, in the order given, without gradients.
 * The event loop turns between micro-batches. Errors: the signal's reason once it is aborted.
 */
export async function scoreCompletions(
  model: CausalLM,
  groups: readonly Group[],
  { tokensPerMicroBatch, onProgress, signal }: ScoreCompletionsOptions = {},
): Promise<number[][]> {
  const scores: number[][] = [];
  const largest = () => groups.reduce((most, group) => Math.max(most, groupTokens(group)), 4096);
  for (const some of microBatches(groups, tokensPerMicroBatch ?? largest())) {
    const batch = packGroups(some);
    const logprobs = tidy(() => noGrad(() => sequenceLogprobs(model, spanBatch(batch, model)).toList()));
    let first = 0;
    for (const { completions } of some) {
      scores.push(logprobs.slice(first, first + completions.length));
      first += completions.length;
    }
    onProgress?.(scores.length);
    await setImmediate();
    signal?.throwIfAborted();
  }
  return scores;
}
