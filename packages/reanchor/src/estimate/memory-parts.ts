/** What memory is for, and what it depends on. */
import type { ModelShape } from '../models/shape.js';
import type { Recipe } from '../recipe/index.js';
import type { Shard } from '../weights/sharded-weights.js';
import type { UnitPlan } from '../weights/unit-plan.js';
import type { AdapterMemory } from './adapter-memory.js';

/** The modes of `parallel.shard`. */
export const shardModes = ['none', 'optimizer', 'gradients', 'parameters'] as const;
/** What processes divide among each other, as `parallel.shard` of a recipe has it. */
export type ShardMode = Shard | 'none';

export interface Division {
  shard: ShardMode;
  processes: number;
  /** Groups of them that each have a whole model. Default: 1. */
  replicas?: number | undefined;
  /** Bytes of a number of a gradient that travels; of one that is moved when left out. */
  reduceBytes?: number | undefined;
  /** Whether what is moved is in main memory, apart from the device whose memory is told. */
  isOffloaded?: boolean | undefined;
  /** What lies around the blocks, then the blocks. */
  units: readonly UnitPlan[];
}

/** Memory in bytes by what it is for, at the moment when a training process holds most. */
export interface MemoryParts {
  /** Of an adapter those of its base, which the reference shares. */
  weights: number;
  /** What is trained of an adapter; 0 without one. */
  adapter: number;
  /** Those that exist at that moment. */
  gradients: number;
  /** The two moments of AdamW. */
  optimizer: number;
  /** The second model, where there is one; beside an adapter its factors. */
  reference: number;
  /** The initial policy, where answers at evaluations are compared with it. */
  initial: number;
  /** What the forward pass has left for the backward pass, masks and positions included. */
  activations: number;
  /** Temporary tensors of what is running at that moment: the head, passes through a block, an adapter's average. */
  workspace: number;
  /** Node.js, libtorch and the rows. */
  process: number;
}

export interface MemoryOptions {
  shape: ModelShape;
  /** Bytes of a number that is computed with: 2, 4 or 8. */
  bytes: number;
  /** Bytes of a float32 master weight, 4; 0 where there are none. */
  wideBytes: number;
  /** Bytes of a moment of AdamW; those of a number that is moved when left out. */
  momentBytes?: number | undefined;
  /** Bytes that the reference keeps of a parameter; 0 where it is no model of its own. */
  referenceBytes: number;
  /** Bytes that the initial policy keeps of a parameter; none where it is not kept. */
  initialBytes?: number | undefined;
  /** Where an adapter is trained: then the bytes of a parameter are those of the base, and no others are told. */
  adapter?: AdapterMemory | undefined;
  needsReference: boolean;
  /** Whether the policy writes answers at evaluations (`evaluate.generate`), for which each process gathers it. */
  writesAnswers?: boolean | undefined;
  activationCheckpointing: boolean;
  /** In which form layers compute; composed when left out. */
  kernels?: Recipe['kernels'];
  /** What the process holds without any tensor. */
  process: number;
  /** How several processes share it; one has all of it when left out. */
  division?: Division | undefined;
}

/** The sum of all parts. */
export const totalMemory = (parts: MemoryParts): number => Object.values(parts).reduce((sum, bytes) => sum + bytes, 0);
