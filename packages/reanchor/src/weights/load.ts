import { type Device, type DType, ProcessGroup } from '@reanchor/torch';
import type { BaseQuantization } from '../adapters/index.js';
import { UserError } from '../errors.js';
import { copyModel } from '../models/architectures.js';
import type { CausalLM } from '../models/causal-lm.js';
import { loadModel, readConfig } from '../models/load.js';
import type { KernelForm } from '../nn/module.js';
import type { Mesh } from '../parallel/mesh.js';
import { FusedWeights } from './fused-weights.js';
import { type Shard, ShardedWeights, type ShardOptions } from './sharded-weights.js';
import { type ModelWeights, Weights } from './weights.js';

/** In which form {@link loadWeights} loads a model. */
export interface LoadWeightsOptions {
  /** The dtype that the model computes in. */
  dtype: DType;
  /** The form of matrices under an adapter. */
  quantize?: BaseQuantization | undefined;
  /** The dtype of what the optimizer moves, where it is a wider one. */
  wide?: DType | undefined;
  device?: Device | undefined;
  /** The processes that train the same weights; this one alone when left out. */
  mesh?: Mesh | undefined;
  /** How they share them: `parallel` of a recipe. Default: each has all of them. */
  parallel?: { shard: Shard | 'none'; reduce?: DType | undefined; offload?: 'none' | 'optimizer' } | undefined;
  /**
   * By what the model computes, and by what weights are moved that are neither divided nor an adapter's. Default:
   * composed.
   */
  kernels?: KernelForm | undefined;
  /** Whose weights they are. Default: the policy's. */
  name?: ShardOptions['name'] | undefined;
}

/**
 * The weights of the model in a folder, all of them trained; where they are divided each process reads them all, one at
 * a time, and keeps its part. Errors: those of {@link loadModel}.
 */
export async function loadWeights(folder: string, options: LoadWeightsOptions): Promise<ModelWeights> {
  const { dtype, wide, device = 'cpu', mesh, parallel, kernels, name: owner = 'policy' } = options;
  const { shard = 'none', reduce, offload = 'none' } = parallel ?? {};
  const { world, shard: group = ProcessGroup.alone(), replicate } = mesh ?? {};
  const isOffloaded = offload === 'optimizer';
  if (shard !== 'none' && ((world && world.world > 1) || isOffloaded)) {
    const weights = new ShardedWeights(await readConfig(folder), {
      ...{ name: owner, world: group, replicas: replicate, shard, dtype, kept: wide, reduce, device },
      keptOn: isOffloaded ? 'cpu' : device,
    });
    const model = await loadModel(folder, {
      ...{ dtype: wide ?? dtype, device, place: (name, value) => weights.put(name, value) },
    });
    requireDense(folder, model);
    weights.rest();
    return weights;
  }
  const exact = await loadModel(folder, { dtype: wide ?? dtype, device, kernels });
  requireDense(folder, exact);
  const Kind = kernels === 'fused' ? FusedWeights : Weights;
  if (wide === undefined) return new Kind(exact, { world, reduce });
  return new Kind(copyModel(exact, dtype), { wide: exact, world, reduce });
}

/** Errors: UserError for a model with matrices of four bits, which cannot be trained. */
function requireDense(folder: string, model: CausalLM): void {
  if (model.quantized.size === 0) return;
  model[Symbol.dispose]();
  throw new UserError(
    `${folder} holds weights of 4 bits (NF4), which cannot be trained themselves: train an adapter on them (a section adapter)`,
  );
}
