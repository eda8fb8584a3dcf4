import * as z from 'zod';
import { documentation } from '../version.js';

export const kernelsSchema = z
  .enum(['composed', 'fused'])
  .optional()
  .describe(
    `the way in which a GPU computes; composed by operators of libtorch, one after the other; fused by kernels of our own where there are some, for the gated product of Llama's feed-forward layers, for rotary positions with the gathering of shared prompts' keys and, without an adapter, for a step with the reference that it moves; NVRTC compiles them when the run starts, and they have not been measured (${documentation('guide/gpu.md')}); composed when left out`,
  );

type Section = Record<string, unknown> | undefined;

/** What `kernels: fused` is not for, in a recipe whose other keys may still be wrong. */
export const fusedConflicts: readonly { isIn(given: Record<string, unknown>): boolean; rule: string }[] = [
  {
    isIn: ({ precision }) => precision === 'fp64',
    rule: 'fused is for float32 and bfloat16: remove this key, or use another precision',
  },
  {
    isIn: ({ optimizer }) => (optimizer as Section)?.moments === '8bit',
    rule: 'fused keeps moments in float32 or bfloat16: remove this key, or optimizer.moments',
  },
  {
    isIn: ({ parallel }) => ![undefined, 'none'].includes((parallel as Section)?.shard as string | undefined),
    rule: 'weights that are divided among processes are moved by operators: remove this key, or use parallel.shard none',
  },
];
