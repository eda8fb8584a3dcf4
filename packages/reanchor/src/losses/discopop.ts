// Shapes: P pairs.
import { type Tensor, tidy } from '@reanchor/torch';
import { margins, type PairBatch } from './pair-batch.js';

/**
 * Discovered preference optimisation, log-ratio modulated (Lu et al. 2024, arXiv 2406.08414, Eq. 5): [P],
 *
 *     m = sigma(z / tau);   loss = (1 - m) (-log sigma(z)) + m exp(-z)
 *
 * `discopopTau` is 0.05 in the paper and in TRL.
 */
export function discopop(batch: PairBatch, { beta, discopopTau }: { beta: number; discopopTau: number }): Tensor {
  return tidy(() => {
    const z_P = margins(batch).mul(beta);
    const blend_P = z_P.div(discopopTau);
    const logistic_P = blend_P.neg().sigmoid().mul(z_P.logSigmoid()).neg();
    // m exp(-z) as one exponential: exp(-z) alone overflows where m is 0.
    return logistic_P.add(blend_P.logSigmoid().sub(z_P).exp());
  });
}
