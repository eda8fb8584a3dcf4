/**
 * Kernels for a step of generation: float32 on the CPU, a few rows, nothing recorded for backward(). A step reads every
 * weight once and computes little with it; these stream the weights, where the BLAS would pack them first, and do in
 * one call what takes several operators. A row's result does not depend on the rows it is computed with.
 *
 * All throw TorchError for other dtypes and devices, shapes that do not fit, and inputs that require gradients outside
 * noGrad().
 */
import { LazyOp, make } from './op.js';
import type { Tensor } from './tensor.js';

const linear = new LazyOp('reanchor::decode_linear', '');
const rmsNorm = new LazyOp('reanchor::decode_rms_norm', '');
const attention = new LazyOp('reanchor::decode_attention', '');

/** x W^T + bias, [B, I] x [O, I] -> [B, O]. */
export function decodeLinear(x_BI: Tensor, weight_OI: Tensor, bias_O?: Tensor): Tensor {
  return make(linear.call(x_BI.handle, weight_OI.handle, bias_O?.handle));
}

/** x / sqrt(mean(x^2) + eps) * weight over the last dimension. */
export function decodeRmsNorm(x_BD: Tensor, weight_D: Tensor, eps: number): Tensor {
  return make(rmsNorm.call(x_BD.handle, weight_D.handle, eps));
}

/**
 * Writes each text's new key and value to `slot` of a cache and attends over the slots `starts[b]` to `slot`: softmax(q
 * k^T / sqrt(C)) v. With K < H key-value heads H / K neighbouring query heads share one.
 *
 * @param q_BHC queries of one new token a text
 * @param k_BKC their keys
 * @param v_BKC their values
 * @param keys_BKTC the cache of keys, contiguous; changed
 * @param values_BKTC the cache of values, contiguous; changed
 * @param starts_B int64, each text's first slot
 */
export function decodeAttention(
  q_BHC: Tensor,
  k_BKC: Tensor,
  v_BKC: Tensor,
  keys_BKTC: Tensor,
  values_BKTC: Tensor,
  starts_B: Tensor,
  slot: number,
): Tensor {
  const handles = [q_BHC, k_BKC, v_BKC, keys_BKTC, values_BKTC, starts_B].map(({ handle }) => handle);
  return make(attention.call(...handles, slot));
}
