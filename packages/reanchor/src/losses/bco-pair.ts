// Shapes: P pairs.
import { type Tensor, tidy } from '@reanchor/torch';
import { type PairBatch, pairLogRatios } from './pair-batch.js';

/**
 * Binary classifier optimisation on pairs (Jung et al. 2024, arXiv 2404.04656), as TRL has it, without the moving
 * mean of rewards: [P],
 *
 *     loss = -log sigma(r_w) - log sigma(-r_l),   r = beta lambda
 */
export function bcoPair(batch: PairBatch, { beta }: { beta: number }): Tensor {
  return tidy(() => {
    const { chosen_P, rejected_P } = pairLogRatios(batch);
    return chosen_P.mul(beta).logSigmoid().add(rejected_P.mul(-beta).logSigmoid()).neg();
  });
}
