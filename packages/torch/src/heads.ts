import { kernel, kernelType } from './device-kernels.js';
import { handles, LazyOp, makeAll } from './op.js';
import type { Tensor } from './tensor.js';

const op = new LazyOp('reanchor::heads', '');

/** Which tokens' keys and values are gathered, int32 on the device of the heads. */
export interface KeyRows {
  /** [G] The token of each gathered key. */
  rows_G: Tensor;
  /** [N + 1] Where the places of each token end, from 0. */
  ends_N1: Tensor;
  /** [G] Where each token is among the gathered keys, token after token. */
  places_G: Tensor;
}

/** The angles of heads, and the keys that are gathered, where some are. */
export interface HeadsOptions {
  /** Cosines of each token's angles, [N, 1, R], the second half equal to the first. */
  cos: Tensor;
  /** Their sines. */
  sin: Tensor;
  /** Without them keys and values are those of the tokens, one each. */
  keys?: KeyRows | undefined;
}

/**
 * Queries [N, H, C] and keys [N, K, C] with rotary positions, as `rotate` makes them, and values as they are where some
 * are given; of a single projection whose heads have the three side by side, [N, H, 3C], come all three. One kernel
 * does it on a CUDA device, and writes the gradients of projections in the backward pass. Keys and values may be
 * gathered by the way, [G, K, C]: the gradients of those of a token are added up, always in one order.
 *
 * Numbers are float32 inside and are rounded once; tensors are float32 or bfloat16. Differentiable once, with respect
 * to the projections.
 *
 * @throws SetupError without NVRTC; TypeError for other dtypes; TorchError for shapes that do not fit
 */
export function rotateHeads(projections: readonly Tensor[], { cos, sin, keys }: HeadsOptions): Tensor[] {
  const { dtype, device } = projections[0]!;
  const number = kernel({ name: 'heads', words: { NUMBER: kernelType('rotateHeads', dtype) } }, device);
  const gathered = keys ? [keys.rows_G, keys.ends_N1, keys.places_G] : [];
  return makeAll(op.call(number, handles(projections), cos.handle, sin.handle, handles(gathered)));
}
