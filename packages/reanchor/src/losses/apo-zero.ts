// Shapes: P pairs.
import { type Tensor, tidy } from '@reanchor/torch';
import { type PairBatch, pairLogRatios } from './pair-batch.js';

/**
 * Anchored preference optimisation, zero (D'Oosterlinck et al. 2024, arXiv 2408.06266, Eq. 7): raises the chosen and
 * lowers the rejected completion, [P],
 *
 *     loss = 1 - sigma(beta lambda_w) + sigma(beta lambda_l)
 */
export function apoZero(batch: PairBatch, { beta }: { beta: number }): Tensor {
  return tidy(() => {
    const { chosen_P, rejected_P } = pairLogRatios(batch);
    return chosen_P.mul(-beta).sigmoid().add(rejected_P.mul(beta).sigmoid());
  });
}
