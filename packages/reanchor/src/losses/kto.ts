// Shapes: R rows, one completion each.
import { type Tensor, tidy } from '@reanchor/torch';

/** Completions with a label. Log-probabilities are sums over a completion's tokens, nats. */
export interface ExampleBatch {
  policy_R: Tensor;
  reference_R: Tensor;
  /** 1 for a desirable completion, 0 for an undesirable one. */
  isDesirable_R: Tensor;
}

/** The parameters of {@link kto}. */
export interface KtoOptions {
  beta: number;
  desirableWeight: number;
  undesirableWeight: number;
}

/**
 * Kahneman-Tversky optimisation (Ethayarajh et al. 2024, arXiv 2402.01306, Eq. 7): the loss of every row, [R],
 *
 *     desirable:    lambda_D (1 - sigma(beta (r - kl)))         r = log pi(y|x) - log pi_ref(y|x)
 *     undesirable:  lambda_U (1 - sigma(beta (kl - r)))
 *
 * lambda / 2 where policy and reference are equal and `kl`, from `ktoKl`, is 0.
 */
export function kto(
  { policy_R, reference_R, isDesirable_R }: ExampleBatch,
  kl: number,
  { beta, desirableWeight, undesirableWeight }: KtoOptions,
): Tensor {
  return tidy(() => {
    const above_R = policy_R.sub(reference_R).sub(kl);
    const sign_R = isDesirable_R.mul(2).sub(1);
    const weight_R = isDesirable_R.mul(desirableWeight - undesirableWeight).add(undesirableWeight);
    return above_R.mul(sign_R).mul(-beta).sigmoid().mul(weight_R);
  });
}

/**
 * The reference point of KTO, an estimate of KL(pi || pi_ref) in nats from mismatched completions y' (each prompt with
 * a completion of another row), without gradient: `kl = max(0, rawKl)`, `rawKl = mean(log pi(y'|x) - log
 * pi_ref(y'|x))`.
 */
export function ktoKl(policy_R: Tensor, reference_R: Tensor): { kl: number; rawKl: number } {
  const rawKl = tidy(() => policy_R.detach().sub(reference_R).mean().item());
  return { kl: Math.max(0, rawKl), rawKl };
}
