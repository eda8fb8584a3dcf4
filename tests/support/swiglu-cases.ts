/** The gated product by its kernels, beside silu(gate) up by operators. */
import { manualSeed, swiglu, type Tensor } from '@reanchor/torch';
import { type KernelPasses, kernelDTypes, numbersOf } from './kernel-passes.js';

/** Sizes around those of a thread and of a block, none, and several dimensions. */
const shapes: readonly (readonly number[])[] = [[0, 8], [1], [3], [4], [7, 13], [2, 2048], [3, 1367]];

/** How the two tensors of a case are given. */
const views: Readonly<Record<string, (gate: Tensor, up: Tensor) => [Tensor, Tensor]>> = {
  contiguous: (gate, up) => [gate, up],
  'with other strides': (gate, up) => [gate.t(), up.t()],
  'from the third element on': (gate, up) => [gate.view([-1]).narrow(0, 3, 40), up.view([-1]).narrow(0, 3, 40)],
};

export const swigluCases = (Object.keys(kernelDTypes) as (keyof typeof kernelDTypes)[]).flatMap((dtype) => [
  ...shapes.map((shape) => ({ dtype, shape, view: 'contiguous' })),
  ...Object.keys(views).map((view) => ({ dtype, shape: [7, 13], view })),
]);

/** Of gates that reach into both tails of the sigmoid. */
export function swigluPasses({ dtype, shape, view }: (typeof swigluCases)[number]): KernelPasses {
  manualSeed(6);
  const seen = views[view]!;
  return {
    dtype,
    inputs: [numbersOf(dtype, shape, 8), numbersOf(dtype, shape)],
    fused: (gate, up) => [swiglu(...seen(gate!, up!))],
    composed: (...given) => {
      const [gate, up] = seen(...(given as [Tensor, Tensor]));
      return [gate.silu().mul(up)];
    },
  };
}
