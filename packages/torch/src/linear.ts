import { native } from './native.js';
import { LazyOp, make } from './op.js';
import type { Tensor } from './tensor.js';

const op = new LazyOp('reanchor::linear', '');

/**
 * x W^T + b: `aten::linear`. Large products of float32 matrices on the CPU are computed by oneDNN where
 * {@link setOneDnnProducts} has it so; these are differentiable once.
 *
 * @param x float [..., I]
 * @param weight_OI of the same dtype, [O, I]
 * @param bias_O [O]
 * @throws TorchError for shapes and dtypes that do not fit
 */
export function linear(x: Tensor, weight_OI: Tensor, bias_O?: Tensor | null): Tensor {
  return make(op.call(x.handle, weight_OI.handle, bias_O?.handle));
}

/**
 * Whether oneDNN computes large products of float32 matrices on the CPU, in place of MKL: from the beginning on CPUs
 * with AVX-512 that are not Intel's, of which MKL uses AVX2 alone, and not on others. Sums are added in another order,
 * so that the last bits of a run are other ones; how exact they are is the same.
 */
export const setOneDnnProducts = (on: boolean): void => native().setOneDnnProducts(on);
