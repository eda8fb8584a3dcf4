import { sum } from '../stats/index.js';
import { backwardPerToken, finalPerRow, forwardPerToken, headRows, keptPerToken } from './activations.js';
import { gradientMoments, isDivided, standing, standingInPasses, standingWhileWriting } from './holding.js';
import { type MicroBatchLayout, maskElements, type PackLayout } from './layout.js';
import { type MemoryOptions, type MemoryParts, totalMemory } from './memory-parts.js';

/** What the head takes while its gradients are made, in bytes. */
export interface HeadMemory {
  /** The logits of the rows that are kept for the backward pass, and of those that are taken at once. */
  chunk: number;
  /** The gradients of its matrix and of the hidden states. */
  gradients: number;
}

export function headMemory({ scored }: PackLayout, { shape, bytes, adapter }: MemoryOptions): HeadMemory {
  const { vocabulary, block } = shape;
  // Logits and the gradient of the matrix are summed in fp32 or better; that of half precision is then rounded.
  const sumBytes = Math.max(4, bytes);
  const { kept, buffer } = headRows(scored, vocabulary, sumBytes);
  const isFrozen = adapter?.head === 0;
  const matrix = isFrozen ? 0 : vocabulary * (sumBytes > bytes ? sumBytes + bytes : bytes);
  return {
    chunk: (kept + buffer) * vocabulary * sumBytes,
    gradients: (matrix + scored * bytes) * block.width,
  };
}

/** The moment at which most memory is held: of a step, or while answers are written. */
export function stepMemory(microBatches: readonly MicroBatchLayout[], options: MemoryOptions): MemoryParts {
  const moments = [
    ...microBatches.map((batch) => scoringMoment(batch, options)),
    ...microBatches.flatMap((batch, i) => backwardMoments(batch.policy, i === 0, options)),
    { ...standing(options), workspace: options.adapter?.update ?? 0 },
    standingWhileWriting(options),
  ];
  return moments.reduce((a, b) => (totalMemory(b) > totalMemory(a) ? b : a));
}

/** Passes without gradients: of the reference, and of the policy on KTO's partners. */
function scoringMoment({ policy, reference, partners }: MicroBatchLayout, options: MemoryOptions): MemoryParts {
  const { shape, bytes, needsReference, adapter, kernels } = options;
  const packs = needsReference ? [reference, ...(partners ? [partners] : [])] : [policy];
  const tokens = Math.max(...packs.map((pack) => pack.tokens));
  const inputs = Math.max(...packs.map((pack) => inputBytes(pack, options)));
  return {
    ...standingInPasses(options),
    activations: inputs,
    workspace: needsReference ? tokens * forwardPerToken(shape.block, kernels) * bytes + (adapter?.dense ?? 0) : 0,
  };
}

/** Token ids, angles and masks of a batch. */
function inputBytes(pack: PackLayout, { shape, bytes }: MemoryOptions): number {
  const ids = 8 * (2 * pack.tokens + 3 * pack.scored);
  return ids + bytes * (2 * pack.tokens * shape.block.headChannels + maskElements(pack));
}

/** Bytes of the blocks' passes. */
function blockBytes({ tokens }: PackLayout, options: MemoryOptions) {
  const { shape, bytes, activationCheckpointing, division, adapter, kernels } = options;
  const { block, layers } = shape;
  const isWalked = activationCheckpointing || (isDivided(division) && division.shard === 'parameters');
  const trainings = (isWalked ? adapter?.walked : adapter?.unwalked) ?? new Array<undefined>(layers).fill(undefined);
  const keptByEach = trainings.map(
    (training) => (tokens * keptPerToken(block, training, kernels) + (training?.rounded ?? 0)) * bytes,
  );
  const backward = tokens * bytes * Math.max(...trainings.map((training) => backwardPerToken(block, training)));
  // A dense matrix is there with the gradient of one input of its size.
  const product = (adapter?.dense ?? 0) + tokens * bytes * (block.width + block.feedForward);
  const input = tokens * block.width * bytes;
  return {
    input,
    /** What they leave for the backward pass, and of that what is there when it comes to the first one. */
    kept: activationCheckpointing ? layers * input : sum(keptByEach),
    atFirst: activationCheckpointing ? input : keptByEach[0]!,
    /** What a block that is computed again keeps, its output in the place of its input, and the last one's output. */
    again: activationCheckpointing ? Math.max(...keptByEach) + input : 0,
    backward: Math.max(backward, product),
  };
}

function backwardMoments(pack: PackLayout, isFirst: boolean, options: MemoryOptions): MemoryParts[] {
  const { shape, bytes, activationCheckpointing, adapter } = options;
  const { block, vocabulary, isTied } = shape;
  const base = standingInPasses(options);
  const gradient = gradientMoments(isFirst, options);
  const inputs = inputBytes(pack, options);
  const blocks = blockBytes(pack, options);
  const afterBlocks = blocks.input + pack.scored * finalPerRow(block, adapter?.trainsFinalNorm ?? true) * bytes;
  const { chunk, gradients } = headMemory(pack, options);
  const atHead: MemoryParts = {
    ...base,
    gradients: gradient.atHead,
    activations: inputs + blocks.kept + afterBlocks,
    workspace: chunk + gradients,
  };
  const atBlock: MemoryParts = {
    ...base,
    gradients: gradient.atBlock,
    activations: inputs + blocks.kept + blocks.again,
    workspace: blocks.backward,
  };
  // The last block of the backward pass is the network's first: then all gradients but the embedding's are there, or
  // come.
  const atFirstBlock: MemoryParts = {
    ...atBlock,
    gradients: gradient.atFirstBlock,
    activations: inputs + blocks.atFirst + blocks.again,
  };
  const addsEmbedding = adapter?.embedding !== 0 && (isTied || !isFirst);
  // A block's weights are gone when its gradients are made ready to be sent; those of the next one are there.
  const atEnd: MemoryParts = {
    ...standingInPasses(options, 1),
    gradients: gradient.atEnd,
    activations: inputs + (activationCheckpointing ? 2 * blocks.input : 0),
    workspace: blocks.input + (addsEmbedding ? vocabulary * block.width * bytes : 0),
  };
  const atSum: MemoryParts = { ...base, gradients: gradient.atSum };
  return [atHead, atBlock, atFirstBlock, atEnd, ...(gradient.atSum > 0 ? [atSum] : [])];
}
