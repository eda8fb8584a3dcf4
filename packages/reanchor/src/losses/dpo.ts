// Shapes: P pairs.
import { type Tensor, tidy } from '@reanchor/torch';
import { margins, type PairBatch } from './pair-batch.js';

/**
 * Direct preference optimisation (Rafailov et al. 2023, arXiv 2305.18290, Eq. 7), with label smoothing eps as in
 * conservative DPO (Mitchell 2023, Eq. 3): the loss of every pair, [P],
 *
 *     z = beta [(log pi(y_w|x) - log pi_ref(y_w|x)) - (log pi(y_l|x) - log pi_ref(y_l|x))]
 *     loss = -(1 - eps) log sigma(z) - eps log sigma(-z)
 *
 * ln 2 where policy and reference are equal. TRL calls it `sigmoid` and drops the smoothing; here it acts.
 */
export function dpo(batch: PairBatch, { beta, labelSmoothing }: { beta: number; labelSmoothing: number }): Tensor {
  return tidy(() => {
    const z_P = margins(batch).mul(beta);
    const correct_P = z_P.logSigmoid().mul(-(1 - labelSmoothing));
    return labelSmoothing === 0 ? correct_P : correct_P.sub(z_P.neg().logSigmoid().mul(labelSmoothing));
  });
}
