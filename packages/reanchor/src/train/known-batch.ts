// Shapes: S sequences, R rows of data.
import { noGrad, recordFunction, type Tensor, tidy } from '@reanchor/torch';
import type { MicroBatch, PackedBatch } from '../data/index.js';
import { type CausalLM, sequenceLogprobs } from '../models/causal-lm.js';
import { spanBatch } from '../nn/spans.js';
import type { ReferencePolicy } from '../reference/reference-policy.js';
import type { KnownBatch } from './objectives/objective.js';

/** A micro-batch with what is known before its loss is computed: log-probabilities without gradient. */
export function knownBatch(
  microBatch: MicroBatch,
  { policy, reference }: { policy: CausalLM; reference?: ReferencePolicy | undefined },
): KnownBatch {
  const batch = () => spanBatch(microBatch.reference, policy);
  return {
    microBatch,
    reference_S: reference && recordFunction('reference', () => tidy(() => reference.logprobs(microBatch, batch))),
    partners_R: microBatch.partners && logprobsWithoutGradient(policy, microBatch.partners),
  };
}

/** The policy's log-probabilities, [S]. */
export function logprobsWithoutGradient(policy: CausalLM, packed: PackedBatch): Tensor {
  return recordFunction('forward without gradient', () =>
    tidy(() => noGrad(() => sequenceLogprobs(policy, spanBatch(packed, policy)))),
  );
}
