import { type Device, foreachAdd_, fusedAdamw_, keep, type Tensor, tidy, zeros } from '@reanchor/torch';
import type { Optimizer } from './optimizer.js';

/** The parameters of AdamW. */
export interface AdamWOptions {
  betas: readonly [number, number];
  eps: number;
  /** Decoupled decay per unit of learning rate; vectors (biases, norms) are exempt. */
  weightDecay: number;
}

/**
 * AdamW (Loshchilov & Hutter 2019, arXiv 1711.05101, Algorithm 2), all parameters in one fused call:
 *
 *     m <- b1 m + (1 - b1) g;   v <- b2 v + (1 - b2) g^2;
 *     p <- p - lr [ (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps) + decay p ]
 */
export class AdamW implements Optimizer {
  protected readonly groups: {
    parameters: Tensor[];
    means: Tensor[];
    squares: Tensor[];
    steps: Tensor[];
    decay: number;
  }[];

  constructor(
    parameters: Iterable<Tensor>,
    readonly options: AdamWOptions,
    /** Where the numbers of steps are; where the parameters are when left out. */
    stepsOn?: Device,
  ) {
    const all = [...parameters];
    const decayed = all.filter(isDecayed);
    const exempt = all.filter((p) => !isDecayed(p));
    this.groups = [
      { parameters: decayed, decay: options.weightDecay },
      { parameters: exempt, decay: 0 },
    ]
      .filter((group) => group.parameters.length > 0)
      .map((group) => ({ ...group, ...keep(freshState(group.parameters, stepsOn)) }));
  }

  step(lr: number): void {
    const { betas, eps } = this.options;
    for (const { parameters, means, squares, steps, decay } of this.groups) {
      tidy(() => {
        const gradients = parameters.map((p) => p.grad!);
        foreachAdd_(steps, 1);
        fusedAdamw_(parameters, gradients, means, squares, [], steps, {
          lr,
          beta1: betas[0],
          beta2: betas[1],
          weightDecay: decay,
          eps,
          amsgrad: false,
          maximize: false,
        });
      });
    }
  }

  state(parameters: ReadonlyMap<string, Tensor>): Map<string, Tensor> {
    const found = new Map<string, Tensor>();
    for (const [name, parameter] of parameters) {
      const group = this.groups.find((some) => some.parameters.includes(parameter))!;
      const i = group.parameters.indexOf(parameter);
      const kinds = { exp_avg: group.means, exp_avg_sq: group.squares, step: group.steps };
      for (const [kind, tensors] of Object.entries(kinds)) found.set(`${kind}.${name}`, tensors[i]!);
    }
    return found;
  }

  reset(): void {
    for (const { means, squares, steps } of this.groups) {
      for (const state of [...means, ...squares, ...steps]) state.zero_();
    }
  }

  [Symbol.dispose](): void {
    for (const { means, squares, steps } of this.groups) {
      for (const state of [...means, ...squares, ...steps]) state.dispose();
    }
  }
}

/** Vectors (biases, norms) have no weight decay. */
export const isDecayed = ({ shape }: Tensor) => shape.length > 1;

function freshState(
  parameters: Tensor[],
  stepsOn: Device | undefined,
): { means: Tensor[]; squares: Tensor[]; steps: Tensor[] } {
  return tidy(() => ({
    means: parameters.map((p) => p.detach().zerosLike()),
    squares: parameters.map((p) => p.detach().zerosLike()),
    // libtorch's fused step reads them where the parameters are.
    steps: parameters.map(({ device }) => zeros([], { dtype: 'float32', device: stepsOn ?? device })),
  }));
}
