// Shapes: P pairs.
import { type Tensor, tidy } from '@reanchor/torch';
import { type PairBatch, pairLogRatios } from './pair-batch.js';

/**
 * Identity preference optimisation (Azar et al. 2023, arXiv 2310.12036, Eq. 17): [P],
 *
 *     loss = (h - 1 / (2 beta))^2,   h = lambda_w - lambda_l
 *
 * With `lengthNormalize` each log-ratio is divided by the tokens of its completion (at least 1), the form that its
 * authors gave to TRL; without, h is the sum that the paper of TR-IPO uses. beta means another thing in the two.
 * 1 / (4 beta^2) where policy and reference are equal.
 */
export function ipo(batch: PairBatch, { beta, lengthNormalize }: { beta: number; lengthNormalize: boolean }): Tensor {
  return tidy(() => {
    const { chosen_P, rejected_P } = pairLogRatios(batch);
    const perToken = (ratio_P: Tensor, tokens_P: Tensor) =>
      lengthNormalize ? ratio_P.div(tokens_P.clampMin(1)) : ratio_P;
    const h_P = perToken(chosen_P, batch.tokens.chosen_P).sub(perToken(rejected_P, batch.tokens.rejected_P));
    return h_P.sub(1 / (2 * beta)).square();
  });
}
