import { kernel, kernelType } from './device-kernels.js';
import { handles, LazyOp, makeAll } from './op.js';
import type { Tensor } from './tensor.js';

const op = new LazyOp('reanchor::heads', '');

function heads(projections: readonly Tensor[], cos_N1R: Tensor, sin_N1R: Tensor): Tensor[] {
  const { dtype, device } = projections[0]!;
  const number = kernel({ name: 'heads', words: { NUMBER: kernelType('heads', dtype) } }, device);
  return makeAll(op.call(number, handles(projections), cos_N1R.handle, sin_N1R.handle));
}

/**
 * Queries and keys with rotary positions, `rotate` of both, by one kernel on a CUDA device. Numbers are float32 inside
 * and are rounded once; tensors are float32 or bfloat16. Differentiable once, with respect to queries and keys.
 *
 * @param q_NHC queries, [N, H, C]
 * @param k_NKC keys, [N, K, C]
 * @param cos_N1R cosines of each token's angles, [N, 1, R], the second half equal to the first
 * @param sin_N1R their sines
 * @throws SetupError without NVRTC; TypeError for other dtypes; TorchError for shapes that do not fit
 */
export const rotateHeads = (q_NHC: Tensor, k_NKC: Tensor, cos_N1R: Tensor, sin_N1R: Tensor): [Tensor, Tensor] =>
  heads([q_NHC, k_NKC], cos_N1R, sin_N1R) as [Tensor, Tensor];

/**
 * Queries and keys with rotary positions, and values, of a projection whose heads have the three side by side, [N, H,
 * 3C] -> three of [N, H, C], by one kernel on a CUDA device; its backward pass writes the gradient of the projection at
 * once. Otherwise as {@link rotateHeads}.
 */
export const splitHeads = (qkv_NHX: Tensor, cos_N1R: Tensor, sin_N1R: Tensor): [Tensor, Tensor, Tensor] =>
  heads([qkv_NHX], cos_N1R, sin_N1R) as [Tensor, Tensor, Tensor];
