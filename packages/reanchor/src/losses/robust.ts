// Shapes: P pairs.
import { type Tensor, tidy } from '@reanchor/torch';
import { margins, type PairBatch } from './pair-batch.js';

/**
 * Robust DPO (Chowdhury et al. 2024, arXiv 2403.00409): unbiased where a share eps < 1/2 of the labels is the
 * wrong way round, [P],
 *
 *     loss = [-(1 - eps) log sigma(z) + eps log sigma(-z)] / (1 - 2 eps)
 */
export function robust(batch: PairBatch, { beta, labelSmoothing }: { beta: number; labelSmoothing: number }): Tensor {
  return tidy(() => {
    const z_P = margins(batch).mul(beta);
    const correct_P = z_P.logSigmoid().mul(-(1 - labelSmoothing));
    return correct_P.add(z_P.neg().logSigmoid().mul(labelSmoothing)).div(1 - 2 * labelSmoothing);
  });
}
