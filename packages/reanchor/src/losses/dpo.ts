// Shapes: P pairs.
import { type Tensor, tidy } from '@reanchor/torch';

/** log p(completion | prompt) of the two sides of each pair, summed over the completion's tokens: two tensors [P]. */
export interface PairLogprobs {
  chosen_P: Tensor;
  rejected_P: Tensor;
}

export interface DpoOptions {
  /** Strength of the pull towards the reference, > 0. */
  beta: number;
  /** Assumed share of pairs whose label is the wrong way round, in [0, 0.5). */
  labelSmoothing: number;
}

/** The loss of every pair and its implicit rewards r = beta (log pi(y|x) - log pi_ref(y|x)), three tensors [P]. */
export interface PairLoss {
  loss_P: Tensor;
  chosenRewards_P: Tensor;
  rejectedRewards_P: Tensor;
}

/**
 * Direct preference optimisation (Rafailov et al. 2023, arXiv 2305.18290, Eq. 7), with label smoothing eps as in
 * conservative DPO (Mitchell 2023, Eq. 3):
 *
 *     z = beta [(log pi(y_w|x) - log pi_ref(y_w|x)) - (log pi(y_l|x) - log pi_ref(y_l|x))]
 *     loss = -(1 - eps) log sigma(z) - eps log sigma(-z)
 *
 * Gradients flow into the policy's log-probabilities; the reference's carry none. TRL drops the smoothing of this loss;
 * here it acts.
 */
export function dpo(policy: PairLogprobs, reference: PairLogprobs, { beta, labelSmoothing }: DpoOptions): PairLoss {
  return tidy(() => {
    const chosenRewards_P = policy.chosen_P.sub(reference.chosen_P).mul(beta);
    const rejectedRewards_P = policy.rejected_P.sub(reference.rejected_P).mul(beta);
    const z_P = chosenRewards_P.sub(rejectedRewards_P);
    const correct_P = z_P.logSigmoid().mul(-(1 - labelSmoothing));
    const loss_P = labelSmoothing === 0 ? correct_P : correct_P.sub(z_P.neg().logSigmoid().mul(labelSmoothing));
    return { loss_P, chosenRewards_P: chosenRewards_P.detach(), rejectedRewards_P: rejectedRewards_P.detach() };
  });
}

/** The loss where policy and reference are equal, whatever the options: ln 2. Checked in every run. */
export const dpoAtReference = Math.LN2;
