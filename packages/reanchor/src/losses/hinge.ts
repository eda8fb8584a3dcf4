// Shapes: P pairs.
import { type Tensor, tidy } from '@reanchor/torch';
import { margins, type PairBatch } from './pair-batch.js';

/**
 * The hinge loss of SLiC-HF (Zhao et al. 2023, arXiv 2305.10425) on implicit rewards, as RSO normalises them (Liu
 * et al. 2023, arXiv 2309.06657): [P],
 *
 *     loss = max(0, 1 - z),   z = beta (lambda_w - lambda_l)
 */
export function hinge(batch: PairBatch, { beta }: { beta: number }): Tensor {
  return tidy(() => margins(batch).mul(-beta).add(1).relu());
}
