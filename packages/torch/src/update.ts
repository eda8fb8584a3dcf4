import { kernel, kernelType } from './device-kernels.js';
import type { Moved } from './distance.js';
import { handles, LazyOp, make, numbers } from './op.js';
import { noGrad, tidy } from './scope.js';
import type { Tensor } from './tensor.js';

const updateOp = new LazyOp('reanchor::update_', '');

/** A step of AdamW, for each of the weights in their order. */
export interface UpdateStep {
  gradients: readonly Tensor[];
  means: readonly Tensor[];
  squares: readonly Tensor[];
  /** The decay per unit of learning rate, of each weight. */
  decays: readonly number[];
  /** What gradients are multiplied by first, as clipping does; rounded to their dtype. */
  factor: number;
  lr: number;
  beta1: number;
  beta2: number;
  eps: number;
  /** The steps that were made, this one counted. */
  step: number;
}

/** The reference of each of the weights, which is measured, or moved, after the step. */
export interface UpdateFollowers {
  references: readonly Tensor[];
  /** The same in bfloat16, which get what is moved, where a model computes with these. */
  rounded?: readonly Tensor[] | undefined;
  /** Of a weight in its reference; 0 leaves references where they are. */
  share: number;
}

/** What {@link update_} takes: weights, and what is to be done to them. */
export interface UpdateOptions {
  weights: readonly Tensor[];
  /** The weights in bfloat16, which get what a step has moved, where a model computes with these. */
  rounded?: readonly Tensor[] | undefined;
  step?: UpdateStep | undefined;
  followers?: UpdateFollowers | undefined;
}

/** What was seen of references: sums over all elements, and a checksum of the bits of each. */
export interface SeenFollowers extends Moved {
  checksums: string[];
}

/**
 * An optimizer step and the reference that follows it, in one pass over memory, in place, on a CUDA device:
 *
 *     g <- factor g
 *     m <- m + (1 - b1) (g - m);   v <- b2 v + (1 - b2) g^2
 *     w <- w (1 - lr decay) - lr / (1 - b1^t) m / (sqrt(v / (1 - b2^t)) + eps)     rounded too, where asked for
 *     r <- r + share (w - r)
 *
 * Numbers are float32 inside, and of float32 weights what `_fused_adamw_` and `moveTowards_` compute on a CPU with
 * AVX2, to the bit; tensors are float32 or bfloat16, contiguous, on one device. Returns what was seen of the
 * references, undefined without any; then nothing is waited for. No gradient.
 *
 * @throws SetupError without NVRTC; TorchError for tensors that do not fit, and what NVRTC says of the kernel
 */
export function update_({ weights, rounded = [], step, followers }: UpdateOptions): SeenFollowers | undefined {
  const [first] = weights;
  if (first === undefined) return undefined;
  const { references = [], rounded: roundedReferences = [], share = 0 } = followers ?? {};
  const typeOf = ({ dtype }: Tensor) => kernelType('update_', dtype);
  const words = { WEIGHT: typeOf(first), REFERENCE: typeOf(references[0] ?? first) };
  const number = kernel({ name: 'update', words }, first.device);
  const { gradients = [], means = [], squares = [], decays = [] } = step ?? {};
  const { factor = 1, lr = 0, beta1 = 0, beta2 = 0, eps = 1, step: count = 1 } = step ?? {};
  const lists = [weights, rounded, gradients, means, squares, references, roundedReferences].map(handles);
  const keep = numbers(decays.map((decay) => 1 - lr * decay));
  const rates = [factor, lr, beta1, beta2, eps, count, share];
  const [sums, checksums] = noGrad(() => updateOp.call(number, ...lists, keep, ...rates)) as [number[], number];
  return tidy(() => {
    const words = make(checksums);
    if (references.length === 0) return undefined;
    const [before, after, norm] = sums as [number, number, number];
    return { before, after, norm, checksums: Array.from(words.data(), String) };
  });
}
