/**
 * Copies between a GPU and main memory, beside the work that the GPU is given meanwhile. Main memory is pinned for
 * that: the GPU reads and writes it by itself.
 */
import { deviceCode } from './device.js';
import type { Pending } from './distributed/index.js';
import { type DType, dtypeCode } from './dtype.js';
import { native } from './native.js';
import { LazyOp, make, numbers } from './op.js';
import type { Tensor } from './tensor.js';

const empty = new LazyOp('aten::empty', 'memory_format');

/** A tensor in pinned memory, with values that mean nothing. Errors: TorchError where there is no CUDA device. */
export const emptyPinned = (shape: readonly number[], dtype: DType): Tensor =>
  make(empty.call(numbers(shape), dtypeCode(dtype), undefined, deviceCode('cpu'), true));

/**
 * Begins to copy a contiguous tensor of a GPU into pinned memory, once the GPU has done what it was given so far; what
 * it is given from now on must not change the tensor before `wait` has returned. There the event loop stands still.
 */
export function copyToHost(tensor: Tensor): Pending {
  const target = emptyPinned(tensor.shape, tensor.dtype);
  const copy = native().beginCopy(target.handle, tensor.handle);
  return {
    tensor: target,
    wait() {
      native().finishCopy(copy);
      return target;
    },
  };
}

/** Copies to GPUs that pinned memory is kept for: it is read from the one while the other is filled. */
const uploads: number[] = [];

/**
 * Begins to copy a pinned tensor into one of a GPU that is contiguous and has the same dtype and size, once the GPU has
 * done what it was given so far. After `wait` the GPU begins what it is given when the copy is there; the program goes
 * on, and must not write to the pinned tensor, of which it may dispose at any time. Waits for the last copy but one.
 */
export function copyToDevice(target: Tensor, pinned: Tensor): Pending {
  if (uploads.length === 2) native().finishCopy(uploads.shift()!);
  const copy = native().beginCopy(target.handle, pinned.handle);
  uploads.push(copy);
  return {
    tensor: target,
    wait() {
      native().awaitCopy(copy);
      return target;
    },
  };
}
