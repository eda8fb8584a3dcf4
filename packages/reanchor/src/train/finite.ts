import { UserError } from '../errors.js';

/** Numbers of a run that are no longer numbers. */
export class NonFiniteError extends UserError {
  override name = 'NonFiniteError';

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

/** Stops a run whose numbers are no longer numbers. Errors: NonFiniteError for a value that is not finite. */
export function requireFinite(
  step: number,
  what: string,
  value: number,
  { isUpdateMade = false, scores = [] }: { isUpdateMade?: boolean; scores?: readonly { loss: number }[] } = {},
): void {
  if (Number.isFinite(value)) return;
  const culprits = scores.flatMap(({ loss }, i) => (Number.isFinite(loss) ? [] : [i]));
  throw new NonFiniteError(step, `${what} in step ${step} is ${value}`, isUpdateMade, culprits);
}
