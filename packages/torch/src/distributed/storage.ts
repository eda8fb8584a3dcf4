/** Memory that comes and goes behind tensors: weights that are there only while they are used. */
import { native } from '../native.js';
import { LazyOp, make } from '../op.js';
import type { Tensor } from '../tensor.js';

const data = new LazyOp('aten::data', '');

/**
 * Gives the memory behind a tensor back (0 bytes), or new memory in its place, with values that mean nothing. Every
 * view of it, and what autograd keeps of them, has the new memory at once. A tensor whose memory is given back throws
 * TorchError when it is read or written; one that needs more bytes than there are must not be used. No collective on
 * the tensor may be under way.
 */
export function resizeStorage(tensor: Tensor, bytes: number): void {
  if (!Number.isSafeInteger(bytes) || bytes < 0) throw new RangeError(`bytes is an integer from 0 on, got ${bytes}`);
  native().resizeStorage(tensor.handle, bytes);
}

/**
 * The same memory as another tensor, with a version of its own: what is written to the one, autograd does not count as
 * a change of the other. For buffers that are filled anew with the same values between forward and backward.
 */
export const untracked = (tensor: Tensor): Tensor => make(data.call(tensor.handle));
