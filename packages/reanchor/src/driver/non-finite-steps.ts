import type { RowPlace, Rows, StepPlan } from '../data/index.js';
import type { Recipe } from '../recipe/index.js';
import type { TrainingState } from '../runs/index.js';
import { NonFiniteError } from '../train/finite.js';

/** Steps in a row that are skipped at most: what does not pass is no bad batch. */
const mostInARow = 5;
/** How often a run goes back to a checkpoint at most. */
const mostRollbacks = 3;

/** The run is to go on from its last checkpoint, leaving out the rows of a step. */
export class RollbackRequest extends Error {
  override name = 'RollbackRequest';

  constructor(
    message: string,
    readonly step: number,
    /** What the run has to remember although it goes back. */
    readonly remembered: Pick<NonFiniteState, 'rollbacks' | 'leftOut'>,
  ) {
    super(message);
  }
}

type NonFiniteState = TrainingState['divergences'];

/** What a run does about a loss or gradient that is not finite: `onDivergence` of its recipe. */
export class NonFiniteSteps {
  readonly #state: NonFiniteState;

  constructor(
    readonly mode: Recipe['onDivergence'],
    readonly rows: Rows<RowPlace>,
    state: NonFiniteState = { skipped: 0, consecutive: 0, rollbacks: 0, leftOut: [] },
  ) {
    this.#state = { ...state, leftOut: [...state.leftOut] };
  }

  state(): NonFiniteState {
    return structuredClone(this.#state);
  }

  /** Steps that did not move the policy so far; of interest where there can be some. */
  get metrics(): Record<string, number> {
    return this.mode === 'stop' ? {} : { skipped_steps: this.#state.skipped };
  }

  /** Whether a step is not to be computed, since the run has come back from it. */
  leavesOut(step: number): boolean {
    if (!this.#state.leftOut.includes(step)) return false;
    this.#state.skipped += 1;
    return true;
  }

  /** To be called after every step that moved the policy. */
  onFiniteStep(): void {
    this.#state.consecutive = 0;
  }

  /**
   * Counts a step as skipped; returns what to say of it. Errors: RollbackRequest when the run has to go back;
   * NonFiniteError when it has to stop. Both name the rows of the step.
   */
  skip(error: NonFiniteError, planned: StepPlan): string {
    const where = this.#rowsOf(planned, error.culprits);
    const stopped = (reason: string) =>
      new NonFiniteError(error.step, error.finding, error.isUpdateMade, error.culprits, `${reason}. ${where}`);
    const advice = 'Lower optimizer.lr or maxGradNorm, or lengthen schedule.warmupSteps';
    switch (this.mode) {
      case 'stop':
        throw stopped(`the run has diverged and is stopped; events.jsonl has the steps before. ${advice}`);
      case 'skip':
        if (error.isUpdateMade) {
          throw stopped(
            `the run has diverged and is stopped: the weights themselves are not finite, which cannot be skipped. ${advice}, or set onDivergence to rollback`,
          );
        }
        if (this.#state.consecutive >= mostInARow) {
          throw stopped(
            `the run has diverged and is stopped, after ${this.#state.consecutive} skipped steps in a row. ${advice}, or set onDivergence to rollback`,
          );
        }
        this.#state.consecutive += 1;
        this.#state.skipped += 1;
        return `${error.finding}: the step leaves the policy as it is (onDivergence: skip). ${where}`;
      case 'rollback':
        if (this.#state.rollbacks >= mostRollbacks) {
          throw stopped(
            `the run has diverged and is stopped, since it has gone back ${mostRollbacks} times already. ${advice}`,
          );
        }
        throw new RollbackRequest(`${error.finding}. ${where}`, error.step, {
          rollbacks: this.#state.rollbacks + 1,
          leftOut: [...this.#state.leftOut, error.step],
        });
    }
  }

  /** The rows of a step by file and line; those whose loss is not finite apart. */
  #rowsOf({ microBatches }: StepPlan, culprits: readonly number[]): string {
    const positions = microBatches.flat();
    // Culprits are scores, of which a row has one; where it has more, it cannot be told which row they are.
    const known = culprits.length > 0 && culprits.every((i) => i < positions.length);
    const all = `The rows of the step: ${placesText(positions.map((row) => this.rows.at(row)!))}`;
    if (!known || culprits.length === positions.length) return all;
    return `Rows with such a loss: ${placesText(culprits.map((i) => this.rows.at(positions[i]!)!))}. ${all}`;
  }
}

/** `a.jsonl:3, 9, 12; b.jsonl:1`. */
function placesText(places: readonly RowPlace[]): string {
  const files = [...new Set(places.map(({ file }) => file))];
  const linesOf = (name: string) => places.filter(({ file }) => file === name).map(({ line }) => line);
  return files.map((file) => `${file}:${linesOf(file).join(', ')}`).join('; ');
}
