// Shapes: S sequences.
import { tidy } from '@reanchor/torch';
import { UserError } from '../errors.js';
import type { ReferencePolicy } from '../reference/policy.js';
import type { KnownBatch } from './objectives/objective.js';

/** Numbers of a run that are no longer numbers. */
export class DivergenceError extends UserError {
  override name = 'DivergenceError';

  constructor(
    readonly step: number,
    /** What is not finite, and its value. */
    readonly finding: string,
    /** Whether the weights have already been changed by the step. */
    readonly isUpdateMade: boolean,
    /** Places in the step of the rows whose loss is not finite, where that is known. */
    readonly culprits: readonly number[],
    consequence = 'the run has diverged and is stopped; events.jsonl has the steps before. Lower optimizer.lr or maxGradNorm, or lengthen schedule.warmupSteps',
  ) {
    super(`${finding}: ${consequence}`);
  }
}

/** Stops a run whose numbers are no longer numbers. Errors: DivergenceError for a value that is not finite. */
export function refuseDivergence(
  step: number,
  what: string,
  value: number,
  { isUpdateMade = false, scores = [] }: { isUpdateMade?: boolean; scores?: readonly { loss: number }[] } = {},
): void {
  if (Number.isFinite(value)) return;
  const culprits = scores.flatMap(({ loss }, i) => (Number.isFinite(loss) ? [] : [i]));
  throw new DivergenceError(step, `${what} in step ${step} is ${value}`, isUpdateMade, culprits);
}

/**
 * How far the reference has moved from the initial policy, on each completion of some micro-batches:
 *
 *     |log pi_ref(y|x) - log pi_initial(y|x)| / tokens(y)
 *
 * in nats per token. 0 before the first update. `initial` answers for the initial policy.
 */
export function referenceDivergences(known: readonly KnownBatch[], initial: ReferencePolicy): number[] {
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
