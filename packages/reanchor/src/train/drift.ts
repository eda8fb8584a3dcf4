// Shapes: S sequences.
import { tidy } from '@reanchor/torch';
import type { ReferencePolicy } from '../reference/reference-policy.js';
import type { KnownBatch } from './objectives/objective.js';

/**
 * How far the reference has moved from the initial policy, on each completion of some micro-batches:
 *
 *     |log pi_ref(y|x) - log pi_initial(y|x)| / tokens(y)
 *
 * in nats per token. 0 before the first update. `initial` answers for the initial policy.
 */
export function referenceDrifts(known: readonly KnownBatch[], initial: ReferencePolicy): number[] {
  return known.flatMap(({ microBatch, reference_S }) =>
    tidy(() => {
      const initial_S = initial.logprobs(microBatch, () => {
        throw new Error('internal: the initial log-probabilities are cached');
      });
      const ratios = reference_S!.sub(initial_S).abs().toList();
      return ratios.map((ratio, i) => ratio / Math.max(1, microBatch.reference.completionTokens[i]!));
    }),
  );
}
