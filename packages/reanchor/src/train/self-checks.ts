import { type DType, dtypeBytes } from '@reanchor/torch';
import type { ReferencePolicy, ReferenceUpdate } from '../reference/reference-policy.js';
import type { Comparable, LoggedRow } from './objectives/objective.js';

/** A statement that must hold in every run did not; the run stops rather than train on a wrong anchor. */
export class SelfCheckError extends Error {
  override name = 'SelfCheckError';

  constructor(step: number, expected: string, found: string) {
    super(
      `self-check failed in step ${step}: expected ${expected}, found ${found}. ` +
        'The run is stopped, since its numbers would mean something else than they say; what was written before stays. ' +
        'This is a fault of the program or of the machine, not of the recipe',
    );
  }
}

/** How far equal models may be apart: log-probabilities relatively, losses absolutely. */
interface Tolerance {
  logprob: number;
  loss: number;
}

/**
 * The same packed batch gives the same bits; other sequences beside one round it otherwise, the more in half precision.
 */
function toleranceOf(scoresSameBatch: boolean, dtype: DType): Tolerance {
  if (scoresSameBatch) return { logprob: 1e-6, loss: 1e-5 };
  return dtypeBytes(dtype) < 4 ? { logprob: 2e-3, loss: 0.05 } : { logprob: 1e-5, loss: 1e-3 };
}

/**
 * What is true of every trust-region run, checked while it runs: policy and reference give equal log-probabilities, and
 * the loss its value for equal models, in the first step and in the step after each update that copies the policy; the
 * two do not share memory; an update with share s leaves (1 - s) of the distance; the reference's bits change at
 * updates and never between.
 */
export class SelfChecks {
  readonly #tolerance: Tolerance;
  readonly #hasDropout: boolean;
  #checksums: string[];
  /** Whether policy and reference are the same model before the next step; a restored run sets it. */
  areModelsEqual: boolean;

  /**
   * `scoresSameBatch` and `dtype` say how closely equal models agree; see `Objective` and `CausalLM`. With dropout they
   * do not.
   */
  constructor(
    readonly reference: ReferencePolicy,
    options: { scoresSameBatch: boolean; dtype: DType; hasDropout?: boolean },
  ) {
    this.#tolerance = toleranceOf(options.scoresSameBatch, options.dtype);
    this.#hasDropout = options.hasDropout ?? false;
    if (reference.sharesPolicy()) {
      throw new SelfCheckError(0, 'a policy and a reference with parameters of their own', 'that they share some');
    }
    this.#checksums = reference.checksums();
    this.areModelsEqual = reference.startsAtPolicy;
  }

  /** Looks at the rows of a step before the optimizer moved the policy. */
  scores<Score extends LoggedRow>(step: number, objective: Comparable<Score>, scores: readonly Score[]): void {
    if (!this.areModelsEqual || this.#hasDropout) return;
    for (const score of scores) {
      for (const [policy, reference] of objective.comparable(score)) {
        if (!(Math.abs(policy - reference) <= this.#tolerance.logprob * Math.max(1, Math.abs(policy)))) {
          throw new SelfCheckError(
            step,
            'equal log-probabilities of policy and reference, which are the same model here',
            `${policy} and ${reference} for a completion`,
          );
        }
      }
      const expected = objective.atReference(score);
      if (
        expected !== undefined &&
        !(Math.abs(score.loss - expected) <= this.#tolerance.loss * Math.max(1, expected))
      ) {
        throw new SelfCheckError(step, `a loss of ${expected} while policy and reference are equal`, `${score.loss}`);
      }
    }
  }

  /** Looks at the reference after a step, with the update that was reported for it. */
  afterStep(step: number, update: ReferenceUpdate | undefined): void {
    this.areModelsEqual = update?.share === 1;
    const checksums = this.reference.checksums();
    const moved = checksums.some((value, i) => value !== this.#checksums[i]);
    this.#checksums = checksums;
    if (!update) {
      if (moved)
        throw new SelfCheckError(
          step,
          'a reference that stays where it is between updates',
          'that its parameters changed',
        );
      return;
    }
    if (!update.distances) return;
    const { share, distances } = update;
    const expected = (1 - share) * distances.before;
    const { before, norm, cut = 0 } = distances;
    const rounding = Math.min(1e-3, share / 10) * before + 2e-7 * norm + 1.01 * cut;
    if (!(Math.abs(distances.after - expected) <= rounding)) {
      throw new SelfCheckError(
        step,
        `a reference update with share ${share} to leave a policy-reference distance of ${expected}`,
        `${distances.after} (before: ${distances.before})`,
      );
    }
  }
}

/**
 * Makes sure that an optimizer step has moved what is trained, given checksums of it; a rate below 1e-7 may be lost in
 * rounding. Errors: SelfCheckError.
 */
export function requireMoved(
  step: number,
  learningRate: number,
  { before, after }: { before: readonly string[]; after: readonly string[] },
): void {
  if (learningRate < 1e-7 || after.some((sum, i) => sum !== before[i])) return;
  throw new SelfCheckError(step, 'an adapter that the optimizer moves', 'that none of its factors changed');
}
