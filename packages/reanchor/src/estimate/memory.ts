import { backwardPerToken, finalPerRow, forwardPerToken, headRows, keptPerToken } from './activations.js';
import { gradientMoments, standingInPasses } from './holding.js';
import { type MicroBatchLayout, maskElements, type PackLayout } from './layout.js';
import { type MemoryOptions, type MemoryParts, totalMemory } from './memory-parts.js';

/** What the head takes while its gradients are made, in bytes. */
export interface HeadMemory {
  /** The logits of the rows that are kept for the backward pass, and of those that are taken at once. */
  chunk: number;
  /** The gradients of its matrix and of the hidden states. */
  gradients: number;
}

export function headMemory({ scored }: PackLayout, { shape, bytes }: MemoryOptions): HeadMemory {
  const { vocabulary, block } = shape;
  // Logits and the gradient of the matrix are summed in fp32 or better; that of half precision is then rounded.
  const sumBytes = Math.max(4, bytes);
  const { kept, buffer } = headRows(scored, vocabulary, sumBytes);
  const matrix = vocabulary * (sumBytes > bytes ? sumBytes + bytes : bytes);
  return {
    chunk: (kept + buffer) * vocabulary * sumBytes,
    gradients: (matrix + scored * bytes) * block.width,
  };
}

/** The moment of a step at which most memory is held. */
export function stepMemory(microBatches: readonly MicroBatchLayout[], options: MemoryOptions): MemoryParts {
  const moments = [
    ...microBatches.map((batch) => scoringMoment(batch, options)),
    ...microBatches.flatMap((batch, i) => backwardMoments(batch.policy, i === 0, options)),
  ];
  return moments.reduce((a, b) => (totalMemory(b) > totalMemory(a) ? b : a));
}

/** Passes without gradients: of the reference, and of the policy on KTO's partners. */
function scoringMoment({ policy, reference, partners }: MicroBatchLayout, options: MemoryOptions): MemoryParts {
  const { shape, bytes, needsReference } = options;
  const packs = needsReference ? [reference, ...(partners ? [partners] : [])] : [policy];
  const tokens = Math.max(...packs.map((pack) => pack.tokens));
  const inputs = Math.max(...packs.map((pack) => inputBytes(pack, options)));
  return {
    ...standingInPasses(options),
    activations: inputs,
    workspace: needsReference ? tokens * forwardPerToken(shape.block) * bytes : 0,
  };
}

/** Token ids, angles and masks of a batch. */
function inputBytes(pack: PackLayout, { shape, bytes }: MemoryOptions): number {
  const ids = 8 * (2 * pack.tokens + 3 * pack.scored);
  return ids + bytes * (2 * pack.tokens * shape.block.headChannels + maskElements(pack));
}

function backwardMoments(pack: PackLayout, isFirst: boolean, options: MemoryOptions): MemoryParts[] {
  const { shape, bytes, activationCheckpointing } = options;
  const { block, layers, vocabulary, isTied } = shape;
  const { tokens, scored } = pack;
  const base = standingInPasses(options);
  const gradient = gradientMoments(isFirst, options);
  const headGradient = vocabulary * block.width * bytes;
  const residual = tokens * block.width * bytes;
  const inputs = inputBytes(pack, options);
  const ofBlock = tokens * keptPerToken(block) * bytes;
  // With checkpoints each block's input, until it has been passed; the last one's output until the end.
  const ofBlocks = layers * (activationCheckpointing ? residual : ofBlock);
  const afterBlocks = residual + scored * finalPerRow(block) * bytes;
  const { chunk, gradients } = headMemory(pack, options);
  const atHead: MemoryParts = {
    ...base,
    gradients: gradient.atHead,
    activations: inputs + ofBlocks + afterBlocks,
    workspace: chunk + gradients,
  };
  const atBlock: MemoryParts = {
    ...base,
    gradients: gradient.atBlock,
    // The block that is computed again: what it keeps but its input, which is kept already, and its output.
    activations: inputs + ofBlocks + (activationCheckpointing ? residual + ofBlock : 0),
    workspace: tokens * backwardPerToken(block) * bytes,
  };
  // The last block of the backward pass is the network's first: then all gradients but the embedding's are there, or
  // come.
  const atFirstBlock: MemoryParts = {
    ...atBlock,
    gradients: gradient.atFirstBlock,
    activations: atBlock.activations - ofBlocks * (1 - 1 / layers),
  };
  // A block's weights are gone when its gradients are made ready to be sent; those of the next one are there.
  const atEnd: MemoryParts = {
    ...standingInPasses(options, 1),
    gradients: gradient.atEnd,
    activations: inputs + (activationCheckpointing ? 2 * residual : 0),
    workspace: residual + (isTied || !isFirst ? headGradient : 0),
  };
  const atSum: MemoryParts = { ...base, gradients: gradient.atSum };
  return [atHead, atBlock, atFirstBlock, atEnd, ...(gradient.atSum > 0 ? [atSum] : [])];
}
