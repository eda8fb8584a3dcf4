import { handles, LazyOp } from './op.js';
import { noGrad } from './scope.js';
import type { Tensor } from './tensor.js';

const distanceOp = new LazyOp('reanchor::squared_distance', '');
const moveOp = new LazyOp('reanchor::move_towards_', '');

/**
 * sum of (a - b)^2 over all elements of two lists of tensors, pair by pair; without `b`, of a^2. One pass over memory
 * that allocates nothing, summed in float64. No gradient.
 *
 * @throws TorchError for lists of different lengths and pairs of different shapes
 */
export function squaredDistance(a: readonly Tensor[], b: readonly Tensor[] = []): number {
  return distanceOp.call(handles(a), handles(b)) as number;
}

/** Sums of squares over all elements of two lists a and b, of which a was moved towards b. */
export interface Moved {
  /** Of a - b, before and after. */
  before: number;
  after: number;
  /** Of a, after. */
  norm: number;
}

/**
 * a <- a + share (b - a) in place, pair by pair, rounded as `lerp_` rounds: share 1 gives b to the bit. What is
 * returned is measured in the same pass over memory and summed in float64. `b` may have another floating dtype than
 * `a`. No gradient, also for tensors that ask for one.
 *
 * @throws TorchError for lists of different lengths and pairs of different shapes
 */
export function moveTowards_(a: readonly Tensor[], b: readonly Tensor[], share: number): Moved {
  const [before, after, norm] = noGrad(() => moveOp.call(handles(a), handles(b), share)) as [number, number, number];
  return { before, after, norm };
}
