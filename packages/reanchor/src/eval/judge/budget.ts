/** A limit on what a run may ask of a judge. */
import { UserError } from '../../errors.js';

/** The budget is used up; what was asked is kept. */
class BudgetError extends UserError {
  override name = 'BudgetError';
}

/**
 * Counts calls and tokens. A request is sent only if it fits in the rest, with its prompt and the longest answer it
 * allows, so that a limit is never passed. Tokens are what the server counts; where it does not say, the estimate.
 */
export class Budget {
  calls = 0;
  tokens = 0;
  #reserved = 0;

  constructor(
    readonly maxCalls = Number.POSITIVE_INFINITY,
    readonly maxTokens = Number.POSITIVE_INFINITY,
  ) {}

  /** Takes what one call may need. Errors: BudgetError. */
  reserve(estimate: number): void {
    if (this.calls + 1 > this.maxCalls) {
      throw new BudgetError(`the budget of ${this.maxCalls} calls is used up; allow more to go on`);
    }
    if (this.tokens + this.#reserved + estimate > this.maxTokens) {
      throw new BudgetError(
        `the budget of ${this.maxTokens} tokens has no room for another call: ${this.tokens} are used, ${this.#reserved} may come of calls under way, and the next may need ${estimate}; allow more to go on`,
      );
    }
    this.calls++;
    this.#reserved += estimate;
  }

  /** Gives back the reserve of a call that used `tokens`; undefined where nobody knows. */
  settle(estimate: number, tokens: number | undefined): void {
    this.#reserved -= estimate;
    this.tokens += tokens ?? estimate;
  }
}
