import { handles, LazyOp, make, numbers } from './op.js';
import type { Tensor } from './tensor.js';

const attentionOp = new LazyOp('reanchor::span_attention', '');
const rotateOp = new LazyOp('reanchor::rotate', '');

/**
 * Attention within the groups of a packed batch on the CPU: softmax(q k^T / sqrt(C) + mask) v, [N, H, C] -> [N, H, C].
 *
 * A group is `prefix` tokens that attend to themselves, causally, followed by `completions` tokens that attend to the
 * whole group under a mask. With K < H key-value heads H / K neighbouring query heads share one. Differentiable once.
 *
 * @param q_NHC queries
 * @param k_NKC keys, [N, K, C]
 * @param v_NKC values, [N, K, C]
 * @param groups start, prefix and completions of every group, one after the other
 * @param masks of every group that has completions, what is added to its scores, [completions, prefix + completions]
 * @throws TorchError for groups that do not cover the tokens in order, and other devices
 */
export function packedAttention(
  q_NHC: Tensor,
  k_NKC: Tensor,
  v_NKC: Tensor,
  groups: readonly number[],
  masks: readonly Tensor[],
): Tensor {
  return make(attentionOp.call(q_NHC.handle, k_NKC.handle, v_NKC.handle, numbers(groups), handles(masks)));
}

/**
 * The first R channels of each head turned: x cos + (-x2, x1) sin, where x = (x1, x2) are their two halves; the others
 * as they are (Su et al. 2021, in the half-split layout of Hugging Face checkpoints). Differentiable once, with respect
 * to x.
 *
 * @param x_NHC queries or keys, [N, H, C]
 * @param cos_N1R cosines of each token's angles, [N, 1, R], the second half equal to the first
 * @param sin_N1R their sines
 * @throws TorchError for shapes that do not fit
 */
export function rotate(x_NHC: Tensor, cos_N1R: Tensor, sin_N1R: Tensor): Tensor {
  return make(rotateOp.call(x_NHC.handle, cos_N1R.handle, sin_N1R.handle));
}
