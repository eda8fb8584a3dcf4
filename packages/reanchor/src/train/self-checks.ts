import type { ReferencePolicy, ReferenceUpdate } from '../reference/copied-reference.js';
import type { PairScores } from './trainer.js';

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

/** Relative agreement asked of two log-probabilities that the same code computes from equal parameters. */
const logprobTolerance = 1e-6;

/**
 * What is true of every trust-region run, checked while it runs:
 * policy and reference give equal log-probabilities, and the loss its value for equal models, in the first step and in the step
 * after each hard update; an update with share s leaves (1 - s) of the distance; the reference's parameters move at updates and never between.
 */
export class SelfChecks {
  #fingerprint: number[];
  #equalModels = true;
  #policyHasMoved = false;

  constructor(
    readonly reference: ReferencePolicy,
    readonly lossAtReference: number,
  ) {
    this.#fingerprint = reference.fingerprint();
  }

  /** Looks at the pairs of a step before the optimizer moved the policy. */
  scores(step: number, pairs: readonly PairScores[]): void {
    if (!this.#equalModels) return;
    for (const pair of pairs) {
      for (const side of ['chosen', 'rejected'] as const) {
        const [policy, reference] = [pair[`${side}Logprob`], pair[`${side}ReferenceLogprob`]];
        if (!(Math.abs(policy - reference) <= logprobTolerance * Math.max(1, Math.abs(policy)))) {
          throw new SelfCheckError(
            step,
            'equal log-probabilities of policy and reference, which are the same model here',
            `${policy} and ${reference} for a ${side} completion`,
          );
        }
      }
      if (!(Math.abs(pair.loss - this.lossAtReference) <= 1e-5)) {
        throw new SelfCheckError(
          step,
          `a loss of ${this.lossAtReference} while policy and reference are equal`,
          `${pair.loss}`,
        );
      }
    }
  }

  /**
   * Looks at the reference after a step, with the update that was reported for it. `policyMoved` says whether the optimizer had a gradient and a
   * learning rate, `distance` is that of policy and reference before the update.
   */
  afterStep(step: number, update: ReferenceUpdate | undefined, policyMoved: boolean, distance: number): void {
    if (policyMoved && !this.#policyHasMoved) {
      if (distance === 0) {
        throw new SelfCheckError(
          step,
          'a policy that moves away from its reference',
          'that both moved as one: they share their parameters',
        );
      }
      this.#policyHasMoved = true;
    }
    this.#equalModels = update?.share === 1;
    const fingerprint = this.reference.fingerprint();
    const moved = fingerprint.some((value, i) => value !== this.#fingerprint[i]);
    this.#fingerprint = fingerprint;
    if (!update) {
      if (moved)
        throw new SelfCheckError(
          step,
          'a reference that stays where it is between updates',
          'that its parameters changed',
        );
      return;
    }
    const expected = (1 - update.share) * update.distanceBefore;
    const rounding = 1e-3 * update.distanceBefore + 2e-7 * Math.hypot(...fingerprint);
    if (!(Math.abs(update.distanceAfter - expected) <= rounding)) {
      throw new SelfCheckError(
        step,
        `a reference update with share ${update.share} to leave a policy-reference distance of ${expected}`,
        `${update.distanceAfter} (before: ${update.distanceBefore})`,
      );
    }
  }
}
