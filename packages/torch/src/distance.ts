import { handles, LazyOp } from './op.js';
import type { Tensor } from './tensor.js';

const op = new LazyOp('reanchor::squared_distance', '');

/**
 * sum of (a - b)^2 over all elements of two lists of tensors, pair by pair; without `b`, of a^2. One pass over memory
 * that allocates nothing, summed in float64. No gradient.
 *
 * @throws TorchError for lists of different lengths and pairs of different shapes
 */
export function squaredDistance(a: readonly Tensor[], b: readonly Tensor[] = []): number {
  return op.call(handles(a), handles(b)) as number;
}
