// Shapes: P pairs.
import { type Tensor, tidy } from '@reanchor/torch';
import type { PairBatch } from './pair-batch.js';

/**
 * Imitation of the chosen completions (TRL's `sft` among the losses of DPO, and the NLL term of RPO and MPO, arXiv
 * 2411.10442): [P] values whose mean over the pairs is the mean of -log pi over all chosen tokens,
 *
 *     loss = -log pi(y_w|x) / meanChosenTokens
 *
 * with `meanChosenTokens` the tokens of a chosen completion on average, over all the pairs that the mean is taken of.
 */
export function chosenNll({ policy }: PairBatch, { meanChosenTokens }: { meanChosenTokens: number }): Tensor {
  return tidy(() => policy.chosen_P.div(-meanChosenTokens));
}
