/** Queries, keys and values out of their projections by a kernel, beside the same by operators. */
import { cat, manualSeed, randn, rotateHeads, splitHeads, type Tensor } from '@reanchor/torch';
import { layerKernels } from '#reanchor/nn/kernels.js';
import { type KernelPasses, type kernelDTypes, numbersOf } from './kernel-passes.js';

interface HeadsCase {
  dtype: keyof typeof kernelDTypes;
  /** Tokens, heads, channels of a head and those of them that are turned. */
  tokens: number;
  heads: number;
  channels: number;
  rotary: number;
  /** Key-value heads where queries and keys are two projections; else they are one with the values. */
  keyHeads?: number;
  /** How many elements lie before the projection in its memory, and between its tokens. */
  offset?: number;
}

/** Of Pythia (a quarter is turned, half of that not in fours), Llama (all, grouped heads), and odd ones. */
const shapes: readonly Omit<HeadsCase, 'dtype'>[] = [
  { tokens: 5, heads: 3, channels: 80, rotary: 20 },
  { tokens: 3, heads: 2, channels: 64, rotary: 16 },
  { tokens: 4, heads: 8, channels: 128, rotary: 128, keyHeads: 2 },
  { tokens: 3, heads: 33, channels: 32, rotary: 32, keyHeads: 33 },
  { tokens: 7, heads: 2, channels: 10, rotary: 6 },
  { tokens: 7, heads: 3, channels: 6, rotary: 6, keyHeads: 1 },
  { tokens: 0, heads: 2, channels: 16, rotary: 4 },
  { tokens: 0, heads: 2, channels: 16, rotary: 16, keyHeads: 2 },
  { tokens: 5, heads: 3, channels: 16, rotary: 8, offset: 4 },
  { tokens: 5, heads: 3, channels: 16, rotary: 16, keyHeads: 3, offset: 3 },
];

export const headsCases: readonly HeadsCase[] = (['float32', 'bfloat16'] as const).flatMap((dtype) =>
  shapes.map((shape) => ({ dtype, ...shape })),
);

/** Cosines and sines of any angles, [N, 1, R]. */
function randomAngles({ dtype, tokens, rotary }: HeadsCase): { cos: Tensor; sin: Tensor } {
  const half = randn([tokens, 1, rotary / 2], { dtype: 'float64' });
  const table = (x: Tensor) => cat([x, x], -1).to(dtype).to('float64');
  return { cos: table(half.cos()), sin: table(half.sin()) };
}

export function headsPasses(one: HeadsCase): KernelPasses {
  const { dtype, tokens, heads, channels, keyHeads, offset = 0 } = one;
  manualSeed(7);
  const angles = randomAngles(one);
  const counts = keyHeads === undefined ? [3 * heads] : [heads, keyHeads];
  const viewed = (x: Tensor, i: number) => {
    const width = counts[i]! * channels;
    const part = x.narrow(1, offset, width);
    return part.view(keyHeads === undefined ? [tokens, heads, 3 * channels] : [tokens, counts[i]!, channels]);
  };
  return {
    dtype,
    inputs: counts.map((count) => numbersOf(dtype, [tokens, count * channels + 2 * offset])),
    fused: (...given) => {
      const { device } = given[0]!;
      const [cos, sin] = [angles.cos, angles.sin].map((x) => x.to({ dtype, device })) as [Tensor, Tensor];
      const [first, second] = given.map(viewed) as [Tensor, Tensor];
      return second ? rotateHeads(first, second, cos, sin) : splitHeads(first, cos, sin);
    },
    composed: (...given) => {
      const [first, second] = given.map(viewed) as [Tensor, Tensor];
      const { rotateHeads, splitHeads } = layerKernels('composed');
      return second ? rotateHeads(first, second, angles) : splitHeads(first, angles);
    },
  };
}
