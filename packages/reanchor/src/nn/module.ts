import { type Tensor, tidy } from '@reanchor/torch';
import { isDecoding } from './decoding.js';

/**
 * Gives the parameter called `name`, which must have this shape. Modules ask for their parameters while they are built,
 * so that a parameter is born with the name it has in a checkpoint and the two cannot drift apart.
 */
export type ParameterSource = (name: string, shape: readonly number[]) => Tensor;

/**
 * A piece of a network. `call` runs `forward` inside a scope of its own and keeps the result alone: what autograd does
 * not need is freed at once, and peak memory is the graph's, as with reference counting (docs/reference/memory.md).
 */
export abstract class Module<Inputs extends unknown[]> {
  protected abstract forward(...inputs: Inputs): Tensor;

  call(...inputs: Inputs): Tensor {
    return isDecoding() ? this.forward(...inputs) : tidy(() => this.forward(...inputs));
  }
}
