// Shapes: P pairs.
import { type Tensor, tidy } from '@reanchor/torch';
import { type PairBatch, pairLogRatios } from './pair-batch.js';

/**
 * Noise contrastive alignment on pairs (Chen et al. 2024, arXiv 2402.05369): [P],
 *
 *     loss = -log sigma(r_w) - 1/2 log sigma(-r_w) - 1/2 log sigma(-r_l),   r = beta lambda
 */
export function ncaPair(batch: PairBatch, { beta }: { beta: number }): Tensor {
  return tidy(() => {
    const { chosen_P, rejected_P } = pairLogRatios(batch);
    const away = (ratio_P: Tensor) => ratio_P.mul(-beta).logSigmoid().mul(0.5);
    return chosen_P.mul(beta).logSigmoid().add(away(chosen_P)).add(away(rejected_P)).neg();
  });
}
