import { noGrad, tidy } from '@reanchor/torch';
import { copyParameters } from '../models/architectures.js';
import type { CausalLM } from '../models/causal-lm.js';

/**
 * The float32 weights of a policy that computes in half precision (Micikevicius et al. 2018, "Mixed Precision Training",
 * arXiv 1710.03740, section 3.1): gradients are summed in float32, the optimizer moves the float32 weights, and the
 * policy has them rounded. In half precision alone a step of 1e-6 on a weight of 0.01 would be lost.
 */
export class MasterWeights {
  constructor(
    /** Has the parameters that the optimizer moves. */
    readonly model: CausalLM,
    readonly policy: CausalLM,
  ) {}

  /** Adds the gradients that a backward pass has left at the policy to those of the float32 weights. */
  collectGradients(): void {
    for (const [name, master] of this.model.parameters) {
      const parameter = this.policy.parameters.get(name)!;
      tidy(() => {
        const gradient = parameter.grad!;
        const sum = master.grad;
        if (sum) noGrad(() => sum.add_(gradient));
        else master.grad = gradient.to(master.dtype);
        parameter.grad = null;
      });
    }
  }

  /** Gives the policy the float32 weights, rounded. */
  publish(): void {
    copyParameters(this.model, this.policy);
  }
}
