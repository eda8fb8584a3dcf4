// Shapes: P pairs.
import { type Tensor, tidy } from '@reanchor/torch';
import { type PairBatch, pairLogRatios } from './pair-batch.js';

/**
 * DPO on log-ratios per token (the length-normalised DPO of Tulu 3, arXiv 2411.15124): [P],
 *
 *     loss = -log sigma(beta (lambda_w / n_w - lambda_l / n_l))
 */
export function sigmoidNorm(batch: PairBatch, { beta }: { beta: number }): Tensor {
  return tidy(() => {
    const { chosen_P, rejected_P } = pairLogRatios(batch);
    const perToken = (ratio_P: Tensor, tokens_P: Tensor) => ratio_P.div(tokens_P.clampMin(1));
    const h_P = perToken(chosen_P, batch.tokens.chosen_P).sub(perToken(rejected_P, batch.tokens.rejected_P));
    return h_P.mul(beta).logSigmoid().neg();
  });
}
