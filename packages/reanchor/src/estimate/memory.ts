import type { ModelShape } from '../models/shape.js';
import { backwardPerToken, finalPerRow, forwardPerToken, headRows, keptPerToken } from './activations.js';
import { type MicroBatchLayout, maskElements, type PackLayout } from './layout.js';

/** Memory in bytes by what it is for, at the moment when a training process holds most. */
export interface MemoryParts {
  weights: number;
  /** Those that exist at that moment. */
  gradients: number;
  /** The two moments of AdamW. */
  optimizer: number;
  /** The second model, where there is one. */
  reference: number;
  /** The initial policy, where answers at evaluations are compared with it. */
  initial: number;
  /** What the forward pass has left for the backward pass, masks and positions included. */
  activations: number;
  /** Temporary tensors of what is running at that moment: the head, or the passes through a block. */
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
  /** Bytes that the reference keeps of a parameter; 0 where it is no model of its own. */
  referenceBytes: number;
  /** Bytes that the initial policy keeps of a parameter; none where it is not kept. */
  initialBytes?: number | undefined;
  needsReference: boolean;
  activationCheckpointing: boolean;
  /** What the process holds without any tensor. */
  process: number;
}

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

/** The sum of all parts. */
export const totalMemory = (parts: MemoryParts) => Object.values(parts).reduce((sum, bytes) => sum + bytes, 0);

/** The moment of a step at which most memory is held. */
export function stepMemory(microBatches: readonly MicroBatchLayout[], options: MemoryOptions): MemoryParts {
  const moments = [
    ...microBatches.map((batch) => scoringMoment(batch, options)),
    ...microBatches.flatMap((batch, i) => backwardMoments(batch.policy, i === 0, options)),
  ];
  return moments.reduce((a, b) => (totalMemory(b) > totalMemory(a) ? b : a));
}

/** What is there from the first step to the last. */
function standing(options: MemoryOptions): MemoryParts {
  const { shape, bytes, wideBytes, referenceBytes, initialBytes = 0, process } = options;
  return {
    weights: shape.parameters * (bytes + wideBytes),
    gradients: 0,
    optimizer: 2 * shape.parameters * (wideBytes || bytes),
    reference: shape.parameters * referenceBytes,
    initial: shape.parameters * initialBytes,
    activations: 0,
    workspace: 0,
    process,
  };
}

/** Passes without gradients: of the reference, and of the policy on KTO's partners. */
function scoringMoment({ policy, reference, partners }: MicroBatchLayout, options: MemoryOptions): MemoryParts {
  const { shape, bytes, needsReference } = options;
  const packs = needsReference ? [reference, ...(partners ? [partners] : [])] : [policy];
  const tokens = Math.max(...packs.map((pack) => pack.tokens));
  const inputs = Math.max(...packs.map((pack) => inputBytes(pack, options)));
  return {
    ...standing(options),
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
  const { shape, bytes, wideBytes, activationCheckpointing } = options;
  const { block, layers, vocabulary, parameters, isTied } = shape;
  const { tokens, scored } = pack;
  const base = standing(options);
  const headGradient = vocabulary * block.width * bytes;
  const all = parameters * bytes;
  const residual = tokens * block.width * bytes;
  // With checkpoints each block's input, the last one's output and the gradient of that; all until the pass has ended.
  const perBlocks = activationCheckpointing ? (layers + 2) * residual : layers * tokens * keptPerToken(block) * bytes;
  const activations = inputBytes(pack, options) + perBlocks + scored * finalPerRow(block) * bytes;
  const { chunk, gradients } = headMemory(pack, options);
  // A later micro-batch adds to gradients that are there; its own of the head is a tensor besides until it is added.
  // Those of master weights are summed apart, when the backward pass has ended.
  const before = isFirst ? 0 : parameters * (wideBytes || bytes);
  const sumsApart = wideBytes > 0;
  const gradientsWith = (own: number) => (sumsApart ? before + own : isFirst ? own : all);
  const atHead: MemoryParts = {
    ...base,
    gradients: before,
    activations,
    workspace: chunk + gradients,
  };
  const atBlock: MemoryParts = {
    ...base,
    gradients: gradientsWith(headGradient),
    // The block that is computed again: what it keeps but its input, which is kept already, and its output.
    activations: activations + (activationCheckpointing ? tokens * keptPerToken(block) * bytes : 0),
    workspace: tokens * backwardPerToken(block) * bytes,
  };
  // The last block of the backward pass is the network's first: then all gradients but the embedding's are there, or
  // come.
  const atFirstBlock: MemoryParts = {
    ...atBlock,
    gradients: gradientsWith(isTied ? all : all - headGradient),
    activations: activationCheckpointing ? atBlock.activations : atBlock.activations - perBlocks * (1 - 1 / layers),
  };
  const atEnd: MemoryParts = {
    ...base,
    gradients: gradientsWith(all),
    activations: activationCheckpointing ? activations : inputBytes(pack, options),
    workspace: residual + (isTied || !isFirst ? headGradient : 0),
  };
  const atSum: MemoryParts = { ...base, gradients: Math.max(before + all, parameters * wideBytes) };
  return [atHead, atBlock, atFirstBlock, atEnd, ...(sumsApart ? [atSum] : [])];
}

/** Memory of one of several devices. */
export interface DeviceMemory {
  /** A replica: every device holds all of it. */
  replica: number;
  /** Weights, gradients, optimizer and reference in shares, as fully sharded training (ZeRO-3, FSDP) keeps them. */
  sharded: number;
}

/**
 * What each of `devices` would hold. A sharded one gathers the weights of a block, or of the embedding or head, to
 * compute with them, and makes their whole gradients before it gives them away: twice the largest of these.
 */
export function deviceMemory(parts: MemoryParts, devices: number, { shape, bytes }: MemoryOptions): DeviceMemory {
  const { weights, gradients, optimizer, reference, initial } = parts;
  const standing = weights + gradients + optimizer + reference + initial;
  const gathered = 2 * Math.max(shape.blockParameters, shape.vocabulary * shape.block.width) * bytes;
  const replica = totalMemory(parts);
  return { replica, sharded: devices === 1 ? replica : replica - standing + standing / devices + gathered };
}
