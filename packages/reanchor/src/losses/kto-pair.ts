// Shapes: P pairs.
import { type Tensor, tidy } from '@reanchor/torch';
import { type PairBatch, pairLogRatios } from './pair-batch.js';

/**
 * KTO on pairs, in the form of the library of TR-DPO's authors (turbo-alignment; also TRL's former `kto_pair`): each
 * side is measured against the mean log-ratio of the other, which carries a gradient, [P],
 *
 *     KL_w = max(0, mean lambda_w),   KL_l = max(0, mean lambda_l)
 *     loss = [1 - sigma(beta (lambda_w - KL_l)) + 1 - sigma(beta (KL_w - lambda_l))] / 2
 *
 * 1/2 where policy and reference are equal. A pair's loss depends on the others by the means.
 */
export function ktoPair(batch: PairBatch, { beta }: { beta: number }): Tensor {
  return tidy(() => {
    const { chosen_P, rejected_P } = pairLogRatios(batch);
    const kl = (ratio_P: Tensor) => ratio_P.mean().clampMin(0);
    const below_P = chosen_P.sub(kl(rejected_P)).mul(-beta).sigmoid();
    const above_P = kl(chosen_P).sub(rejected_P).mul(-beta).sigmoid();
    return below_P.add(above_P).div(2);
  });
}
