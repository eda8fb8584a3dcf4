import type { Device, DType, ProcessGroup } from '@reanchor/torch';
import { copyModel } from '../models/architectures.js';
import { loadModel, readConfig } from '../models/load.js';
import { type Shard, ShardedWeights, type ShardOptions } from './sharded-weights.js';
import { type ModelWeights, Weights } from './weights.js';

export interface LoadWeightsOptions {
  /** The dtype that the model computes in. */
  dtype: DType;
  /** The dtype of what the optimizer moves, where it is a wider one. */
  wide?: DType | undefined;
  device?: Device | undefined;
  /** The processes that train the same weights; this one alone when left out. */
  world?: ProcessGroup | undefined;
  /** What is divided among them. Default: nothing. */
  shard?: Shard | 'none' | undefined;
  /** Whose weights they are. Default: the policy's. */
  name?: ShardOptions['name'] | undefined;
}

/**
 * The weights of the model in a folder, all of them trained; with `shard` of several processes each reads them all, one
 * at a time, and keeps its part. Errors: those of {@link loadModel}.
 */
export async function loadWeights(folder: string, options: LoadWeightsOptions): Promise<ModelWeights> {
  const { dtype, wide, device = 'cpu', world, shard = 'none', name: owner = 'policy' } = options;
  if (world && world.world > 1 && shard !== 'none') {
    const weights = new ShardedWeights(await readConfig(folder), {
      ...{ name: owner, world, shard, dtype, kept: wide, device },
    });
    await loadModel(folder, { dtype: wide ?? dtype, device, place: (name, value) => weights.put(name, value) });
    weights.rest();
    return weights;
  }
  if (wide === undefined) return new Weights(await loadModel(folder, { dtype, device }), { world });
  const exact = await loadModel(folder, { dtype: wide, device });
  return new Weights(copyModel(exact, dtype), { wide: exact, world });
}
