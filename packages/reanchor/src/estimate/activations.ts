/**
 * What the passes through a block hold, in numbers a packed token (each of the precision's size), tensor by tensor as
 * nn/ and models/ make them and libtorch's autograd keeps them. Whoever changes a block, attention or a norm changes
 * this file, and tests/train/estimate.slow.test.ts tells whether it was done right.
 */
import type { BlockShape } from '../models/shape.js';
import type { Recipe } from '../recipe/index.js';

type Terms = Record<string, number>;
type Kernels = Recipe['kernels'];

/** What is trained of a block whose base is frozen. */
export interface BlockTraining {
  /** The modules that are trained, or have factors that are, by the ends of their paths. */
  modules: ReadonlySet<string>;
  /** Whether a gradient goes to the block's input: something before it is trained, or its passes are walked apart. */
  isReached: boolean;
  /** Whether dropout stands before the factors, which then keep what it leaves, and where, and not their inputs. */
  drops: boolean;
  /** Numbers a token that factors keep besides their inputs: A x, of DoRA W x + s B A x, and what dropout makes. */
  keptPerToken: number;
  /** Numbers of factors that are rounded to the dtype of the passes, and kept so. */
  rounded: number;
}

const sum = (terms: Terms) => Object.values(terms).reduce((a, b) => a + b, 0);

/** The linear layers that read what attention, and the feed-forward part, begin with, and what these end with. */
const readers = {
  llama: {
    attention: ['q_proj', 'k_proj', 'v_proj'],
    attended: ['o_proj'],
    feedForward: ['gate_proj', 'up_proj'],
    product: ['down_proj'],
  },
  gpt_neox: {
    attention: ['query_key_value'],
    attended: ['dense'],
    feedForward: ['dense_h_to_4h'],
    product: ['dense_4h_to_h'],
  },
};

/** What a gradient of a block goes through, and which inputs of linear layers are kept for theirs. */
function passesOf(block: BlockShape, training: BlockTraining | undefined) {
  const { attention, attended, feedForward, product } = readers[block.family];
  const trains = (...modules: string[]) => training === undefined || modules.some((one) => training.modules.has(one));
  const keeps = (modules: string[]) => !training?.drops && trains(...modules);
  const isParallel = block.family === 'gpt_neox' && block.parallelResidual;
  const entersBlock = training?.isReached ?? true;
  const entersAttention = entersBlock || trains(...attention);
  const leavesAttention = entersAttention || trains(...attended);
  const reachesFeedForward = isParallel ? entersBlock : leavesAttention;
  return {
    ...{ trains, entersBlock, entersAttention, leavesAttention, reachesFeedForward },
    entersFeedForward: reachesFeedForward || trains(...feedForward),
    keepsAttentionInput: keeps(attention),
    keepsFeedForwardInput: keeps(feedForward),
    keepsProduct: keeps(product),
    trainsProduct: trains(...product),
  };
}

/** Whether a gradient goes to what a linear layer reads, by the end of its path. */
export function reachesInput(block: BlockShape, training: BlockTraining, module: string): boolean {
  const { attention, attended, feedForward } = readers[block.family];
  const passes = passesOf(block, training);
  if (attention.includes(module)) return passes.entersBlock;
  if (attended.includes(module)) return passes.entersAttention;
  return feedForward.includes(module) ? passes.reachesFeedForward : passes.entersFeedForward;
}

/** Whether a gradient goes through attention. */
export const reachesAttention = (block: BlockShape, training: BlockTraining) =>
  passesOf(block, training).entersAttention;

/** What the forward pass of a block leaves for its backward pass, some of it only where a gradient goes through. */
function keptTerms(block: BlockShape, training: BlockTraining | undefined, kernels: Kernels): Terms {
  const { width: D, feedForward: F, heads: H, headChannels: C, keyValueHeads: K } = block;
  const passes = passesOf(block, training);
  const { trains, entersBlock, entersAttention, reachesFeedForward, entersFeedForward } = passes;
  const where = (isKept: boolean, numbers: number) => (isKept ? numbers : 0);
  const attention: Terms = {
    rotatedQueries: where(entersAttention, H * C),
    rotatedKeys: where(entersAttention, K * C),
    attended: where(passes.leavesAttention, H * C),
    logSumExp: where(entersAttention, H),
  };
  const factors = training?.keptPerToken ?? 0;
  if (block.family === 'gpt_neox') {
    return {
      attentionNormInput: where(entersBlock, D),
      attentionNormOutput: where(passes.keepsAttentionInput, D),
      // The values are a view of the projection to queries, keys and values, which stays as a whole.
      queriesKeysValues: where(entersAttention, 3 * D),
      ...attention,
      feedForwardNormInput: where(reachesFeedForward && !block.parallelResidual, D),
      feedForwardNormOutput: where(passes.keepsFeedForwardInput, D),
      up: where(entersFeedForward, F),
      gelu: where(passes.keepsProduct, F),
      factors,
    };
  }
  // libtorch's RMS norm on the CPU is made of operators: input, input over its root mean square, output.
  const norm = (name: string, isReached: boolean, isRead: boolean) =>
    where(isReached || trains(name), D) + where(trains(name), D) + where(isRead, D);
  const headNorms = (H + K) * C * (trains('q_norm', 'k_norm') ? 2 : 1);
  return {
    attentionNorm: norm('input_layernorm', entersBlock, passes.keepsAttentionInput),
    values: where(entersAttention, K * C),
    headNorms: where(entersAttention && block.headNorms, headNorms),
    ...attention,
    feedForwardNorm: norm('post_attention_layernorm', reachesFeedForward, passes.keepsFeedForwardInput),
    gate: where(entersFeedForward, F),
    silu: where(entersFeedForward && kernels !== 'fused', F),
    up: where(entersFeedForward, F),
    product: where(passes.keepsProduct, F),
    factors,
  };
}

/**
 * The most that the passes of a block hold at once besides what is kept: gradients of its feed-forward part, of which
 * one takes the place of what was kept for its last layer; what dropout of that layer makes; or of a GPT-NeoX that has
 * a narrow one the sums of its parts, where the block is computed again.
 */
function backwardTerms(block: BlockShape, training: BlockTraining | undefined): Terms {
  const { family, width: D, feedForward: F } = block;
  const { trainsProduct } = passesOf(block, training);
  const more = trainsProduct ? 0 : F;
  const feedForwardGradients = family === 'llama' ? 2 * F + more : Math.max(F + more, 3 * D);
  const dropout = training?.drops && trainsProduct ? 4.25 * F : 0;
  return { residualGradient: D, largest: Math.max(feedForwardGradients, dropout) };
}

/**
 * The most that a block holds at once where nothing is recorded: that of its larger part, which frees it at its end.
 */
function forwardTerms({ family, width: D, feedForward: F, ...block }: BlockShape, kernels: Kernels): Terms {
  const { heads: H, headChannels: C, keyValueHeads: K } = block;
  const attention = family === 'llama' ? 3 * D + 4 * H * C + 3 * K * C : 10 * D;
  const feedForward = 4 * D + (family !== 'llama' ? 2 * F : kernels === 'fused' ? 3 * F : 4 * F);
  return { largerPart: Math.max(attention, feedForward) };
}

/** What the final norm keeps of a scored row: the rows picked out, and what its own backward pass needs. */
function finalNormTerms({ family, width: D }: BlockShape, isTrained: boolean): Terms {
  return { pickedRows: D, norm: family === 'llama' && isTrained ? 2 * D : D };
}

export const keptPerToken = (block: BlockShape, training?: BlockTraining, kernels?: Kernels) =>
  sum(keptTerms(block, training, kernels));
export const backwardPerToken = (block: BlockShape, training?: BlockTraining) => sum(backwardTerms(block, training));
export const forwardPerToken = (block: BlockShape, kernels?: Kernels) => sum(forwardTerms(block, kernels));
export const finalPerRow = (block: BlockShape, isTrained: boolean) => sum(finalNormTerms(block, isTrained));

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
