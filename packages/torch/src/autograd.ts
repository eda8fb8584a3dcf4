import { native } from './native.js';
import { handles, make } from './op.js';
import type { Tensor } from './tensor.js';

/** Adds the gradients of `tensors` to the `.grad` of every leaf that they depend on. */
export function backward(tensors: readonly Tensor[], gradients?: readonly Tensor[]): void {
  native().backward(handles(tensors), gradients === undefined ? undefined : handles(gradients), false, false);
}

/** What {@link grad} may be told. */
export interface GradOptions {
  /** One per output; may be left out for outputs with one element. */
  gradOutputs?: readonly Tensor[];
  /** Keep what the backward pass needs, for another pass. Default: createGraph. */
  retainGraph?: boolean;
  /** Make the gradients differentiable themselves. */
  createGraph?: boolean;
}

/**
 * Gradients of `outputs` with respect to `inputs`, null where no path leads to an input. `.grad` fields are left alone.
 */
export function grad(
  outputs: readonly Tensor[],
  inputs: readonly Tensor[],
  { gradOutputs, retainGraph, createGraph = false }: GradOptions = {},
): (Tensor | null)[] {
  const found = native().grad(
    handles(outputs),
    handles(inputs),
    gradOutputs === undefined ? undefined : handles(gradOutputs),
    retainGraph ?? createGraph,
    createGraph,
  );
  return found.map((handle) => (handle === 0 ? null : make(handle)));
}
