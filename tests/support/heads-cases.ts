/** Queries, keys and values out of their projections by a kernel, beside the same by operators. */
import {
  cat,
  type Device,
  type KeyRows,
  manualSeed,
  randn,
  rotate,
  rotateHeads,
  type Tensor,
  tensor,
} from '@reanchor/torch';
import { keyPlaces } from '#reanchor/nn/varlen.js';
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
  /** The tokens whose keys and values are gathered. */
  rows?: readonly number[];
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
  { tokens: 5, heads: 3, channels: 80, rotary: 20, rows: [0, 1, 2, 0, 1, 3, 0, 1, 4] },
  { tokens: 6, heads: 4, channels: 32, rotary: 32, keyHeads: 2, rows: [0, 1, 2, 3, 0, 1, 5, 4] },
  // A token that no sequence sees, as there is none in training.
  { tokens: 3, heads: 2, channels: 10, rotary: 6, keyHeads: 1, rows: [2, 0, 2, 2] },
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

/** The rows of a case on a device. */
function keysOf({ rows, tokens }: HeadsCase, device: Device): KeyRows | undefined {
  if (!rows) return undefined;
  const { ends, places } = keyPlaces(Int32Array.from(rows), tokens);
  const onDevice = (list: Int32Array) => tensor(list, { device });
  return { rows_G: onDevice(Int32Array.from(rows)), ends_N1: onDevice(ends), places_G: onDevice(places) };
}

export function headsPasses(one: HeadsCase): KernelPasses {
  const { dtype, tokens, heads, channels, keyHeads, offset = 0, rows } = one;
  manualSeed(7);
  const { cos, sin } = randomAngles(one);
  // Values come along where they are gathered.
  const counts = keyHeads === undefined ? [3 * heads] : [heads, keyHeads, ...(rows ? [keyHeads] : [])];
  const viewed = (x: Tensor, i: number) => {
    const part = x.narrow(1, offset, counts[i]! * channels);
    return part.view(keyHeads === undefined ? [tokens, heads, 3 * channels] : [tokens, counts[i]!, channels]);
  };
  return {
    dtype,
    inputs: counts.map((count) => numbersOf(dtype, [tokens, count * channels + 2 * offset])),
    fused: (...given) => {
      const { device } = given[0]!;
      const [cosines, sines] = [cos, sin].map((x) => x.to({ dtype, device })) as [Tensor, Tensor];
      return rotateHeads(given.map(viewed), { cos: cosines, sin: sines, keys: keysOf(one, device) });
    },
    composed: (...given) => {
      const views = given.map(viewed);
      const parts = keyHeads === undefined ? views[0]!.chunk(3, -1) : views;
      const turned = parts.map((x, i) => (i < 2 ? rotate(x, cos, sin) : x));
      return rows ? turned.map((x, i) => (i === 0 ? x : x.indexSelect(0, tensor(rows, { dtype: 'int64' })))) : turned;
    },
  };
}
