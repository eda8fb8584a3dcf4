import { type Tensor, tidy } from '@reanchor/torch';
import type { LowRankShape } from '../adapters/index.js';
import { isDecoding } from './decoding.js';
import type { Nf4Weight } from './nf4-weight.js';

/** In which form a network computes what there are kernels of our own for: `kernels` of a recipe. */
export type KernelForm = 'composed' | 'fused';

/**
 * What the layers of a network ask for what they hold, while they are built: a parameter is born with the name that it
 * has in a weight file, and the two cannot drift apart. A network passes the source on to its layers and knows nothing
 * else of it, so that what a layer can hold is a matter of nn/layers.ts and of sources.
 */
export interface ParameterSource {
  /** In which form layers compute; composed when left out. */
  kernels?: KernelForm | undefined;
  /** The parameter called `name`, which must have this shape. */
  parameter(name: string, shape: readonly number[]): Tensor;
  /** The matrix of this name where it is kept in four bits, in the place of a parameter. */
  quantized?(name: string, shape: readonly number[]): Nf4Weight | undefined;
  /** The form of the factors that the linear layer of this name has beside its weight, if any; they are parameters. */
  lowRank?(layer: string, size: { inputs: number; outputs: number }): LowRankShape | undefined;
}

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
