import { foreachAdd_, type Tensor, tidy, type UpdateStep } from '@reanchor/torch';
import { AdamW, type AdamWOptions } from './adamw.js';

/** What makes the steps of {@link FusedAdamW}: it has the weights, their gradients, and what follows from a step. */
export interface StepMaker {
  step(step: Omit<UpdateStep, 'gradients' | 'factor'>): void;
}

/** {@link AdamW} with a state alike, whose step is made by the weights in one pass with all that comes with it. */
export class FusedAdamW extends AdamW {
  readonly #states: { mean: Tensor; square: Tensor; decay: number }[];
  readonly #weights: StepMaker;

  /** `parameters` in the order in which `weights` have them. */
  constructor(parameters: Iterable<Tensor>, options: AdamWOptions, weights: StepMaker) {
    const all = [...parameters];
    // The number of steps is one of the arguments of the pass.
    super(all, options, 'cpu');
    const states = new Map(
      this.groups.flatMap(({ parameters, means, squares, decay }) =>
        parameters.map((parameter, i) => [parameter, { mean: means[i]!, square: squares[i]!, decay }] as const),
      ),
    );
    this.#states = all.map((parameter) => states.get(parameter)!);
    this.#weights = weights;
  }

  override step(lr: number): void {
    const { betas, eps } = this.options;
    tidy(() => {
      for (const { steps } of this.groups) foreachAdd_(steps, 1);
      this.#weights.step({
        means: this.#states.map(({ mean }) => mean),
        squares: this.#states.map(({ square }) => square),
        decays: this.#states.map(({ decay }) => decay),
        ...{ lr, eps, beta1: betas[0], beta2: betas[1] },
        step: this.groups[0]!.steps[0]!.item(),
      });
    });
  }
}
