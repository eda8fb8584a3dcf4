import { LazyOp, make } from './op.js';
import type { Tensor } from './tensor.js';

const op = new LazyOp('reanchor::linear_logprob', '');

/**
 * Log-probabilities of given tokens: `logprobs_M[m] = log softmax(hidden_MD[m] @ weight_VD^T)[targets_M[m]]`.
 *
 * Rows are taken `chunkRows` at a time, so all M x V logits never exist at once; by default a chunk's logits take 32 to
 * 64 MB on the CPU. For the backward pass, what was computed of the first rows is kept up to `keepBytes`, by default
 * 128 MB on the CPU and 1 GB on a GPU; the logits of the others are made anew, which takes a third of the time again.
 * Sums are in float32, in float64 for float64 input, and so is the result. Differentiable once, with respect to
 * `hidden_MD` and `weight_VD`.
 *
 * @param hidden_MD hidden states, float [M, D]
 * @param weight_VD vocabulary matrix, of the same dtype, [V, D]
 * @param targets_M token ids, int64 [M]
 * @throws TorchError for shapes that do not fit and for the first target outside 0..V-1, with its row
 */
export function linearLogprob(
  hidden_MD: Tensor,
  weight_VD: Tensor,
  targets_M: Tensor,
  { chunkRows = 0, keepBytes = -1 }: { chunkRows?: number; keepBytes?: number } = {},
): Tensor {
  return make(op.call(hidden_MD.handle, weight_VD.handle, targets_M.handle, chunkRows, keepBytes));
}
