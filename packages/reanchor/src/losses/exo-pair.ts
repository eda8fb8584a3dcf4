// Shapes: P pairs.
import { type Tensor, tidy } from '@reanchor/torch';
import { margins, type PairBatch } from './pair-batch.js';

/**
 * Efficient exact optimisation on pairs (Ji et al. 2024, arXiv 2402.00856, Eq. 16): the reverse KL from the policy's
 * preference to the labels', smoothed by eps > 0, [P],
 *
 *     loss = sigma(z) (log sigma(z) - log(1 - eps)) + sigma(-z) (log sigma(-z) - log eps)
 */
export function exoPair(batch: PairBatch, { beta, labelSmoothing }: { beta: number; labelSmoothing: number }): Tensor {
  return tidy(() => {
    const z_P = margins(batch).mul(beta);
    const term = (x_P: Tensor, label: number) => x_P.sigmoid().mul(x_P.logSigmoid().sub(Math.log(label)));
    return term(z_P, 1 - labelSmoothing).add(term(z_P.neg(), labelSmoothing));
  });
}
