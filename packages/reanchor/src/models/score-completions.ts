import { noGrad, tidy } from '@reanchor/torch';
import { type Group, packGroups } from '../data/index.js';
import { spanBatch } from '../nn/spans.js';
import { type CausalLM, sequenceLogprobs } from './causal-lm.js';
import { type PassOptions, passes } from './passes.js';

/**
 * log p(completion | prompt) of every completion of every group under a model, in the order given, without gradients;
 * see {@link passes}. Errors: the signal's reason once it is aborted; DistributedError.
 */
export function scoreCompletions(
  model: CausalLM,
  groups: readonly Group[],
  options: PassOptions = {},
): Promise<number[][]> {
  return passes(groups, options, {
    countOf: ({ completions }) => completions.length,
    compute: (some) => tidy(() => noGrad(() => sequenceLogprobs(model, spanBatch(packGroups(some), model)).toList())),
    isShared: model.residency !== undefined,
  });
}
