// Shapes: P pairs.
import { type Tensor, tidy } from '@reanchor/torch';
import { type PairBatch, pairLogRatios } from './pair-batch.js';

/**
 * Self-play preference optimisation with hard labels (Wu et al. 2024, arXiv 2405.00675, Eq. 4.7 with win probabilities
 * 1 and 0): [P],
 *
 *     loss = (lambda_w - 1 / (2 beta))^2 + (lambda_l + 1 / (2 beta))^2
 */
export function sppoHard(batch: PairBatch, { beta }: { beta: number }): Tensor {
  return tidy(() => {
    const { chosen_P, rejected_P } = pairLogRatios(batch);
    const target = 1 / (2 * beta);
    return chosen_P.sub(target).square().add(rejected_P.add(target).square());
  });
}
