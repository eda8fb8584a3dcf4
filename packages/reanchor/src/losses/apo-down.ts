// Shapes: P pairs.
import { type Tensor, tidy } from '@reanchor/torch';
import { type PairBatch, pairLogRatios } from './pair-batch.js';

/**
 * Anchored preference optimisation, down (D'Oosterlinck et al. 2024, arXiv 2408.06266, Eq. 8): lowers both completions,
 * the rejected one more, [P],
 *
 *     loss = sigma(beta lambda_w) + 1 - sigma(beta (lambda_w - lambda_l))
 */
export function apoDown(batch: PairBatch, { beta }: { beta: number }): Tensor {
  return tidy(() => {
    const { chosen_P, rejected_P } = pairLogRatios(batch);
    return chosen_P.mul(beta).sigmoid().add(chosen_P.sub(rejected_P).mul(-beta).sigmoid());
  });
}
