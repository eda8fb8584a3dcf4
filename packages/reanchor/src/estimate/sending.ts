/** What each process sends in a step. */
import type { AdapterMemory } from './adapter-memory.js';
import { isDivided, keptBytes, leavesRoot, processesOfReplica, sizesOf } from './holding.js';
import type { MemoryOptions } from './memory-parts.js';

/** Bytes that a process sends in a step, by what they are. */
export interface SentBytes {
  /** To sum gradients. */
  gradients: number;
  /** To bring the policy's weights. */
  weights: number;
  /** To bring the weights of a reference that is a model. */
  reference: number;
}

/** The passes of a step, of the process that makes most of them; all that send make equally many. */
export interface StepPasses {
  /** Forward and backward. */
  trained: number;
  /** Of the policy, forward alone: partners, losses that couple rows, rows that are cached. */
  forward: number;
  /** Of a reference that is a model. */
  reference: number;
  /** Updates of that reference; a part of one where a step has one now and then. */
  updates: number;
}

/**
 * What a process sends. Collectives are counted as rings make them: to gather n bytes, or to sum them with a part for
 * each process, a process sends n (N - 1) / N, and to sum them for all twice that.
 */
export function sentBytes(passes: StepPasses, options: MemoryOptions): SentBytes {
  const { division, bytes, referenceBytes, shape } = options;
  const { processes = 1, replicas = 1, reduceBytes = keptBytes(options).policy } = division ?? {};
  if (options.adapter) return sentBesideBase(passes, options.adapter, options);
  if (!isDivided(division)) {
    return { gradients: 2 * among(processes)(shape.parameters * reduceBytes), weights: 0, reference: 0 };
  }
  const ring = among(processesOfReplica(division));
  const { all, root, slices } = sizesOf(division);
  const times = division.shard === 'optimizer' ? 1 : passes.trained;
  // Replicas sum what each process has, once a step.
  const gradients = ring(times * all * reduceBytes) + 2 * among(replicas)(slices * reduceBytes);
  const hasModel = referenceBytes > 0;
  if (division.shard !== 'parameters') {
    const reference = hasModel ? ring(passes.updates * all * bytes) : 0;
    return { gradients, weights: ring(all * bytes), reference };
  }
  // Blocks come for each pass, forward and backward; what lies around them comes once a step.
  const blocks = (all - root) * bytes;
  return {
    gradients,
    weights: ring(root * bytes + (2 * passes.trained + passes.forward) * blocks),
    reference: hasModel ? ring(root * bytes + passes.reference * blocks) : 0,
  };
}

/** What goes through a ring of so many processes. */
const among = (count: number) => (whole: number) => (whole * (count - 1)) / count;

/**
 * Gradients of what is trained, which all have; a divided base comes for the passes of policy and reference, and for
 * each matrix of it by which their distance is measured (DoRA) its block.
 */
function sentBesideBase(passes: StepPasses, adapter: AdapterMemory, { division, bytes }: MemoryOptions): SentBytes {
  const { processes = 1, reduceBytes } = division ?? {};
  const gradients = 2 * among(processes)(reduceBytes ? adapter.parameters * reduceBytes : adapter.trained);
  if (!isDivided(division)) return { gradients, weights: 0, reference: 0 };
  const ring = among(processesOfReplica(division));
  const { all, root, count } = sizesOf(division);
  const blocks = (all - root) * bytes;
  return {
    gradients,
    weights: ring((leavesRoot(adapter) ? root * bytes : 0) + (2 * passes.trained + passes.forward) * blocks),
    reference: ring((passes.reference + adapter.measured / count) * blocks),
  };
}

/** The sum of all parts, bytes. */
export const totalSent = ({ gradients, weights, reference }: SentBytes) => gradients + weights + reference;
