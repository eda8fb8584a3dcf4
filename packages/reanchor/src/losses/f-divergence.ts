// Shapes: P pairs.
import { type Tensor, tidy } from '@reanchor/torch';
import { type PairBatch, pairLogRatios } from './pair-batch.js';

/** The divergence that keeps the policy near the reference; DPO's own is the reverse KL. */
export type Divergence =
  | { type: 'reverse_kl' | 'forward_kl' | 'js_divergence' }
  | { type: 'alpha_divergence'; coefficient: number };

/** Where the exponents of the alpha divergence end, as in TRL; a score beyond has no gradient. */
const largestExponent = 80;

/**
 * The batch as a loss on margins sees it under another divergence than the reverse KL (f-DPO, Wang et al. 2023, arXiv
 * 2309.16240): log-ratios are replaced by scores f'(exp(lambda)), with TRL 1.13's constants, which make a score 0 where
 * policy and reference are equal and matter to margins per token,
 *
 *     reverse_kl: lambda      forward_kl: 1 - exp(-lambda)      js_divergence: log 2 + log sigma(lambda)
 *     alpha_divergence: (exp((a - 1) lambda) - 1) / (a - 1), lambda for a = 1
 */
export function underDivergence(batch: PairBatch, divergence: Divergence): PairBatch {
  if (divergence.type === 'reverse_kl') return batch;
  return tidy(() => {
    const { chosen_P, rejected_P } = pairLogRatios(batch);
    const zeros_P = chosen_P.detach().zerosLike();
    return {
      policy: { chosen_P: score(chosen_P, divergence), rejected_P: score(rejected_P, divergence) },
      reference: { chosen_P: zeros_P, rejected_P: zeros_P.clone() },
      tokens: { chosen_P: batch.tokens.chosen_P.clone(), rejected_P: batch.tokens.rejected_P.clone() },
    };
  });
}

function score(ratio_P: Tensor, divergence: Divergence): Tensor {
  switch (divergence.type) {
    case 'reverse_kl':
      return ratio_P;
    case 'forward_kl':
      return ratio_P.neg().exp().neg().add(1);
    case 'js_divergence':
      return ratio_P.logSigmoid().add(Math.LN2);
    case 'alpha_divergence': {
      const order = divergence.coefficient - 1;
      if (Math.abs(order) < 1e-6) return ratio_P;
      return ratio_P.mul(order).clampMax(largestExponent).exp().sub(1).div(order);
    }
  }
}
