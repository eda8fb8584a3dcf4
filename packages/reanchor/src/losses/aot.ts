// Shapes: P pairs.
import { type Tensor, tidy } from '@reanchor/torch';
import { type PairBatch, pairLogRatios } from './pair-batch.js';

interface AotOptions {
  beta: number;
  labelSmoothing: number;
}

/**
 * Alignment by optimal transport on paired data (Melnyk et al. 2024, arXiv 2406.05882): the margins of the policy
 * are to dominate those of the reference as distributions, so both are sorted over the pairs, [P],
 *
 *     q = beta (sort(log pi(y_w) - log pi(y_l)) - sort(log pi_ref(y_w) - log pi_ref(y_l)))
 *     loss = -(1 - eps) log sigma(q) - eps log sigma(-q)
 *
 * Values stand in the order of the sorted margins: a pair's loss depends on the others.
 */
export function aot({ policy, reference }: PairBatch, options: AotOptions): Tensor {
  return tidy(() =>
    transport(policy.chosen_P.sub(policy.rejected_P), reference.chosen_P.sub(reference.rejected_P), options),
  );
}

/**
 * The same on unpaired data: chosen log-ratios are to dominate rejected ones, q = beta (sort(lambda_w) -
 * sort(lambda_l)).
 */
export function aotUnpaired(batch: PairBatch, options: AotOptions): Tensor {
  return tidy(() => {
    const { chosen_P, rejected_P } = pairLogRatios(batch);
    return transport(chosen_P, rejected_P, options);
  });
}

function transport(above_P: Tensor, below_P: Tensor, { beta, labelSmoothing }: AotOptions): Tensor {
  const q_P = above_P.sort()[0].sub(below_P.sort()[0]).mul(beta);
  return q_P
    .logSigmoid()
    .mul(labelSmoothing - 1)
    .sub(q_P.neg().logSigmoid().mul(labelSmoothing));
}
