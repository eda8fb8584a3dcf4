// Shapes: P pairs.
import { type Tensor, tidy } from '@reanchor/torch';

/** A number for each of the two completions of every pair: two tensors [P]. */
export interface Sides {
  chosen_P: Tensor;
  rejected_P: Tensor;
}

/** What the loss of a pair is made of. Only the policy's log-probabilities may carry a gradient. */
export interface PairBatch {
  /** log pi(y|x), summed over the completion's tokens, nats. */
  policy: Sides;
  /** The same under the reference. */
  reference: Sides;
  /** The number of tokens of each completion. */
  tokens: Sides;
}

/** log pi(y|x) - log pi_ref(y|x) of each completion: lambda_w and lambda_l in the formulas of the losses. */
export function pairLogRatios({ policy, reference }: Pick<PairBatch, 'policy' | 'reference'>): Sides {
  return {
    chosen_P: policy.chosen_P.sub(reference.chosen_P),
    rejected_P: policy.rejected_P.sub(reference.rejected_P),
  };
}

/** h = lambda_w - lambda_l, the margin of the log-ratios, [P]; z = beta h is the margin of the implicit rewards. */
export function margins(batch: Pick<PairBatch, 'policy' | 'reference'>): Tensor {
  return tidy(() => {
    const { chosen_P, rejected_P } = pairLogRatios(batch);
    return chosen_P.sub(rejected_P);
  });
}

/** The implicit rewards beta (log pi - log pi_ref), without gradient. */
export function implicitRewards(batch: PairBatch, beta: number): Sides {
  return tidy(() => {
    const { chosen_P, rejected_P } = pairLogRatios(batch);
    return { chosen_P: chosen_P.detach().mul(beta), rejected_P: rejected_P.detach().mul(beta) };
  });
}

/**
 * The reference with its margin log pi_ref(y_w|x) - log pi_ref(y_l|x) raised to 0 where it prefers the rejected
 * completion (HyPO, arXiv 2602.11902): a pessimistic reference no longer silences a pair that the policy still has
 * wrong. The chosen side is raised; a loss that sees the margin alone sees max(0, margin).
 */
export function clipReferenceMargin({ chosen_P, rejected_P }: Sides): Sides {
  return tidy(() => ({
    chosen_P: chosen_P.maximum(rejected_P),
    rejected_P: rejected_P.clone(),
  }));
}
