/**
 * What the passes through a block hold, in numbers a packed token (each of the precision's size), tensor by tensor as
 * nn/ and models/ make them and libtorch's autograd keeps them. Whoever changes a block, attention or a norm changes
 * this file, and tests/train/estimate.slow.test.ts tells whether it was done right.
 */
import type { BlockShape } from '../models/shape.js';

type Terms = Record<string, number>;

const sum = (terms: Terms) => Object.values(terms).reduce((a, b) => a + b, 0);

/** What attention keeps: its inputs and its output. */
function attentionTerms({ heads: H, headChannels: C, keyValueHeads: K }: BlockShape): Terms {
  return { rotatedQueries: H * C, rotatedKeys: K * C, attended: H * C, logSumExp: H };
}

/** What the forward pass of a block leaves for its backward pass. */
function keptTerms(block: BlockShape): Terms {
  const { width: D, feedForward: F, heads: H, headChannels: C, keyValueHeads: K } = block;
  if (block.family === 'gpt_neox') {
    return {
      attentionNormInput: D,
      attentionNormOutput: D,
      // The values are a view of the projection to queries, keys and values, which stays as a whole.
      queriesKeysValues: 3 * D,
      ...attentionTerms(block),
      feedForwardNormInput: block.parallelResidual ? 0 : D,
      feedForwardNormOutput: D,
      up: F,
      gelu: F,
    };
  }
  return {
    // libtorch's RMS norm on the CPU is made of operators: input, input over its root mean square, output.
    attentionNorm: 3 * D,
    values: K * C,
    headNorms: block.headNorms ? 2 * (H + K) * C : 0,
    ...attentionTerms(block),
    feedForwardNorm: 3 * D,
    gate: F,
    silu: F,
    up: F,
    product: F,
  };
}

/**
 * The most that the backward pass of a block holds at once besides what is kept: gradients of its feed-forward part, or
 * of a GPT-NeoX that has a narrow one the sums of its parts, where the block is computed again.
 */
function backwardTerms({ family, width: D, feedForward: F }: BlockShape): Terms {
  return { residualGradient: D, feedForwardGradients: family === 'llama' ? 2 * F : Math.max(F, 3 * D) };
}

/**
 * The most that a block holds at once where nothing is recorded: that of its larger part, which frees it at its end.
 */
function forwardTerms({ family, width: D, feedForward: F, ...block }: BlockShape): Terms {
  const { heads: H, headChannels: C, keyValueHeads: K } = block;
  const attention = family === 'llama' ? 3 * D + 4 * H * C + 3 * K * C : 10 * D;
  const feedForward = 4 * D + (family === 'llama' ? 4 * F : 2 * F);
  return { largerPart: Math.max(attention, feedForward) };
}

/** What the final norm keeps of a scored row: the rows picked out, and what its own backward pass needs. */
function finalNormTerms({ family, width: D }: BlockShape): Terms {
  return { pickedRows: D, norm: family === 'llama' ? 2 * D : D };
}

export const keptPerToken = (block: BlockShape) => sum(keptTerms(block));
export const backwardPerToken = (block: BlockShape) => sum(backwardTerms(block));
export const forwardPerToken = (block: BlockShape) => sum(forwardTerms(block));
export const finalPerRow = (block: BlockShape) => sum(finalNormTerms(block));

/**
 * The scored rows whose logits the head holds, as packages/torch/native/ops_logprob.cc takes them on the CPU: chunks of
 * 32 MiB, of at least 256 rows while these take no more than 64 MiB; those of the first rows are `kept` for the
 * backward pass while they fit in 128 MiB, and a `buffer` of a chunk serves the others, whose logits are made again.
 */
export function headRows(scored: number, vocabulary: number, bytes: number): { kept: number; buffer: number } {
  const chunk = headChunkRows(scored, vocabulary, bytes);
  const room = Math.floor((128 * mebibyte) / (vocabulary * bytes));
  const kept = room >= scored ? scored : Math.floor(room / chunk) * chunk;
  return { kept, buffer: Math.min(chunk, scored - kept) };
}

const mebibyte = 2 ** 20;

function headChunkRows(scored: number, vocabulary: number, bytes: number): number {
  const row = vocabulary * bytes;
  const usual = Math.floor((32 * mebibyte) / row);
  const most = Math.floor((64 * mebibyte) / row);
  return Math.min(Math.max(usual, Math.min(256, most), 1), Math.max(scored, 1));
}
