/** What each of several processes keeps of weights, gradients and the optimizer's state. Bytes, from counts alone. */
import { sum } from '../stats/index.js';
import type { Shard } from '../weights/sharded-weights.js';
import type { AdapterMemory } from './adapter-memory.js';
import type { Division, MemoryOptions, MemoryParts } from './memory-parts.js';

/** Elements of a division. */
interface Sizes {
  /** That a process moves, in all units. */
  slices: number;
  /** All, with the padding of each unit. */
  all: number;
  /** Around the blocks, and of the largest block. */
  root: number;
  block: number;
  /** How many blocks there are. */
  count: number;
}

/** The processes that have a model between them. */
export const processesOfReplica = ({ processes, replicas = 1 }: Division): number => processes / replicas;

export function sizesOf(division: Division): Sizes {
  const processes = processesOfReplica(division);
  const padded = division.units.map((unit) => unit.sliceNumel(processes) * processes);
  const [root = 0, ...blocks] = padded;
  const all = sum(padded);
  return {
    slices: all / processes,
    all,
    root,
    block: Math.max(0, ...blocks),
    count: blocks.length,
  };
}

/** Whether each process has a part alone of what `shard` names. */
export const isDivided = (division: Division | undefined): division is Division & { shard: Shard } =>
  division !== undefined && division.shard !== 'none' && (division.processes > 1 || division.isOffloaded === true);

/** The bytes of a number that is moved, and of one that a reference moves. */
export function keptBytes({ bytes, wideBytes, referenceBytes }: MemoryOptions) {
  const reference = referenceBytes === 0 ? 0 : referenceBytes > bytes ? referenceBytes - bytes : bytes;
  return { policy: wideBytes || bytes, reference };
}

/**
 * What is there in the device's memory from the first step to the last, also between steps; of rank 0 where none is
 * named.
 */
export function standing(options: MemoryOptions, rank = 0): MemoryParts {
  const {
    shape,
    bytes,
    wideBytes,
    referenceBytes,
    initialBytes = 0,
    adapter,
    process,
    division,
    momentBytes,
  } = options;
  const rest = { gradients: 0, activations: 0, workspace: 0, adapter: 0, process };
  if (adapter) {
    const { base, trained, reference, initial } = adapter;
    const divided = isDivided(division) ? sizesOf(division) : undefined;
    const weights = divided ? (divided.slices + (leavesRoot(adapter) ? 0 : divided.root)) * bytes : base;
    return {
      ...rest,
      weights,
      adapter: trained,
      optimizer: 2 * (momentBytes === undefined ? trained : (trained / 4) * momentBytes),
      reference,
      initial,
    };
  }
  if (!isDivided(division)) {
    return {
      ...rest,
      weights: shape.parameters * (bytes + wideBytes),
      optimizer: 2 * shape.parameters * (momentBytes ?? (wideBytes || bytes)),
      reference: shape.parameters * referenceBytes,
      initial: shape.parameters * initialBytes,
    };
  }
  const moved = movedParts(options, division, rank);
  const here = (bytes: number) => (division.isOffloaded ? 0 : bytes);
  const { slices, all } = sizesOf(division);
  const whole = division.shard === 'parameters' ? 0 : all * bytes;
  return {
    ...rest,
    weights: here(moved.weights) + whole,
    optimizer: here(moved.optimizer),
    reference: referenceBytes === 0 ? 0 : here(moved.reference) + whole,
    initial: initialBytes === 0 ? 0 : slices * initialBytes + whole,
  };
}

/** Whether what lies around the blocks of a divided base goes between steps: where a reference has been computed. */
export const leavesRoot = ({ reference }: AdapterMemory): boolean => reference > 0;

/** What a process moves, with the gradients that it is moved by. */
function movedParts(options: MemoryOptions, division: Division, rank: number) {
  const { slices } = sizesOf(division);
  const kept = keptBytes(options);
  const processes = processesOfReplica(division);
  // The last processes have padding, which no moments belong to.
  const moved = sum(division.units.map((unit) => unit.ownNumel(processes, rank % processes)));
  return {
    weights: slices * kept.policy,
    optimizer: 2 * moved * kept.policy,
    gradients: slices * kept.policy,
    reference: slices * kept.reference,
  };
}

/** Bytes in main memory of what a process keeps there, apart from its device. */
export function mainMemory(options: MemoryOptions, rank = 0): number {
  const { division } = options;
  if (!isDivided(division) || !division.isOffloaded) return 0;
  return sum(Object.values(movedParts(options, division, rank))) + pinned(options, division);
}

/**
 * What copies to and from the device go through: two slices on the way up, and two on the way down. libtorch keeps such
 * memory, in sizes that are powers of two.
 */
function pinned(options: MemoryOptions, division: Division): number {
  const { root, block } = sizesOf(division);
  const processes = processesOfReplica(division);
  const bytes = Math.max(options.bytes, travelBytes(options, division));
  const [around, each] = [root, block].map((numel) => 2 ** Math.ceil(Math.log2((numel / processes) * bytes)));
  return around! + 3 * each!;
}

/** Of a number of a gradient that is summed over processes. */
const reducedBytes = (options: MemoryOptions, { reduceBytes }: Division) => reduceBytes ?? keptBytes(options).policy;

/** Of one on its way to its slice: a process that has all of the model sends what the pass has left, as it is. */
function travelBytes(options: MemoryOptions, division: Division): number {
  const reduced = reducedBytes(options, division);
  return processesOfReplica(division) === 1 ? Math.min(reduced, options.bytes) : reduced;
}

/**
 * What stands while a pass runs: where parameters are divided, what lies around the blocks of policy and reference, and
 * of the one that computes two blocks, or `blocks`.
 */
export function standingInPasses(options: MemoryOptions, blocks = 2): MemoryParts {
  const parts = standing(options);
  const { bytes, referenceBytes, division, adapter } = options;
  if (!isDivided(division) || division.shard !== 'parameters') return parts;
  const { root, block, count } = sizesOf(division);
  const comes = adapter === undefined || leavesRoot(adapter) ? root : 0;
  return {
    ...parts,
    weights: parts.weights + (comes + Math.min(blocks, count) * block) * bytes,
    reference: parts.reference + (referenceBytes === 0 ? 0 : root * bytes),
  };
}

/** What stands while answers are written: where parameters are divided, each process has them all then. */
export function standingWhileWriting(options: MemoryOptions): MemoryParts {
  const parts = standing(options);
  const { bytes, division, writesAnswers, adapter } = options;
  if (!writesAnswers || !isDivided(division) || division.shard !== 'parameters') return parts;
  // Of the base under an adapter no slice is kept apart from the whole.
  return { ...parts, weights: (adapter ? 0 : parts.weights) + sizesOf(division).all * bytes };
}

/** Bytes of gradients at the moments of a step. */
export interface GradientMoments {
  /** While the head is computed: those of earlier micro-batches. */
  atHead: number;
  /** While the first block of the backward pass is computed, and while the last one is. */
  atBlock: number;
  atFirstBlock: number;
  /** When the backward pass has ended. */
  atEnd: number;
  /** While they are added to those of earlier micro-batches, or are made ready to be sent; 0 where they are not. */
  atSum: number;
}

/** Those of a backward pass; `isFirst` of the first one of a step. */
export function gradientMoments(isFirst: boolean, options: MemoryOptions): GradientMoments {
  const { division, adapter } = options;
  // The base of an adapter is divided, and what is trained is not.
  if (!isDivided(division) || adapter) return wholeGradients(isFirst, options);
  return division.shard === 'optimizer'
    ? gradientsSentOnce(isFirst, options, division)
    : gradientsSentByBlocks(isFirst, options, division);
}

/** Those of the head, and those of all but the embedding: that comes at the end. */
function ownGradients({ shape, bytes, adapter }: MemoryOptions) {
  if (adapter) return { head: adapter.head, all: adapter.trained, butEmbedding: adapter.trained - adapter.embedding };
  const all = shape.parameters * bytes;
  const head = shape.vocabulary * shape.block.width * bytes;
  return { head, all, butEmbedding: shape.isTied ? all : all - head };
}

function wholeGradients(isFirst: boolean, options: MemoryOptions): GradientMoments {
  const { shape, bytes, wideBytes, adapter } = options;
  const own = ownGradients(options);
  // A later micro-batch adds to gradients that are there; its own of the head is a tensor besides until it is added.
  // Those of master weights are summed apart, when the backward pass has ended.
  const before = isFirst ? 0 : (adapter?.trained ?? shape.parameters * (wideBytes || bytes));
  const sumsApart = wideBytes > 0;
  const beside = (mine: number) => (sumsApart ? before + mine : isFirst ? mine : own.all);
  return {
    atHead: before,
    atBlock: beside(own.head),
    atFirstBlock: beside(own.butEmbedding),
    atEnd: beside(own.all),
    atSum: sumsApart ? Math.max(before + own.all, shape.parameters * wideBytes) : 0,
  };
}

/** Sums of all are kept until the end of the step, beside what a pass leaves. */
function gradientsSentOnce(isFirst: boolean, options: MemoryOptions, division: Division): GradientMoments {
  const { slices, all, root } = sizesOf(division);
  const kept = keptBytes(options).policy;
  const reduce = reducedBytes(options, division);
  const own = ownGradients(options);
  const before = isFirst ? 0 : all * kept;
  return {
    atHead: before,
    atBlock: before + own.head,
    atFirstBlock: before + own.butEmbedding,
    atEnd: before + own.all,
    // A unit's are laid one after the other, in the dtype of the sum; at the end of the step what was sent comes back.
    atSum: Math.max(before + own.all + flattened(root, options, division), (all + slices) * reduce),
  };
}

/**
 * A block's are sent as soon as they are there, and those of the one before are waited for then; what comes back is a
 * slice of them.
 */
function gradientsSentByBlocks(isFirst: boolean, options: MemoryOptions, division: Division): GradientMoments {
  const { slices, root, block } = sizesOf(division);
  const { bytes } = options;
  const kept = keptBytes(options).policy;
  const travels = travelBytes(options, division);
  const processes = processesOfReplica(division);
  const { head } = ownGradients(options);
  const sums = division.isOffloaded ? 0 : slices * kept;
  // In the first pass the sums of what lies around the blocks, and of two of them, are not there yet.
  const soFar = isFirst && sums > 0 ? sums - ((root + 2 * block) * kept) / processes : sums;
  const underWay = (numel: number) => numel * travels * (1 + 1 / processes);
  // What lies around the blocks is sent last, and is still under way when the next pass begins.
  const before = isFirst ? 0 : sums + underWay(root);
  const made = head + block * bytes;
  return {
    atHead: before,
    atBlock: before + made,
    atFirstBlock: soFar + made + underWay(block),
    atEnd: soFar + made + flattened(block, options, division),
    atSum: soFar + root * bytes + flattened(root, options, division) + underWay(block),
  };
}

/** What is made of a unit's gradients to be sent: all of them in one tensor, and that in the dtype that travels. */
function flattened(numel: number, options: MemoryOptions, division: Division): number {
  const { bytes } = options;
  const travels = travelBytes(options, division);
  return numel * (bytes + (travels > bytes ? travels : 0));
}
