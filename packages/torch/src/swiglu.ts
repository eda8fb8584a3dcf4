import { kernel, kernelType } from './device-kernels.js';
import { LazyOp, make, numbers } from './op.js';
import type { Tensor } from './tensor.js';

const op = new LazyOp('reanchor::swiglu', '');

/**
 * silu(gate) up, element by element, on a CUDA device (Shazeer 2020, arXiv 2002.05202): one kernel computes it, and
 * another both gradients. Numbers are float32 inside and are rounded once; tensors are float32 or bfloat16, and only
 * `gate` and `up` are kept for the backward pass. Differentiable once.
 *
 * @throws SetupError without NVRTC; TypeError for other dtypes; TorchError for tensors that are not alike
 */
export function swiglu(gate: Tensor, up: Tensor): Tensor {
  const { dtype, device } = gate;
  const text = { name: 'swiglu', words: { NUMBER: kernelType('swiglu', dtype) } };
  const kernels = [kernel(text, device), kernel(text, device, 'swiglu_backward')];
  return make(op.call(numbers(kernels), gate.handle, up.handle));
}
