// A packed batch as tensors, and the groups its attention works on.
// Shapes: N packed tokens, M scored rows, S sequences (completions), H query heads, K key-value heads, C channels.
import { type Device, type DType, type Tensor, tensor, tidy } from '@reanchor/torch';
import type { PackedBatch } from '../data/index.js';
import { sum } from '../stats/index.js';
import { spanAttention } from './attention.js';
import type { KernelForm } from './module.js';
import type { Residency, Segments } from './segments.js';
import {
  canUseVarlen,
  type GatheredAttention,
  gatheredAttention,
  varlenAttention,
  varlenPlan,
  varlenTensors,
} from './varlen.js';

/** What a model's hidden states need of a batch. */
export interface TokenBatch {
  tokens_N: Tensor;
  positions_N: Tensor;
  longestPosition: number;
  /** The tokens whose hidden states are asked for. */
  rows_M: Tensor;
  /**
   * Attention of layer `layer` (0 for the first) over what each token may see, [N, H, C] -> [N, H, C]. A model does not
   * know what that is: packed spans in training, and the keys of earlier tokens in generation.
   */
  attend(layer: number, q_NHC: Tensor, k_NKC: Tensor, v_NKC: Tensor): Tensor;
  /** The same for layers that gather keys and values themselves, where there is something to gather. */
  gathered?: GatheredAttention | undefined;
  /** Runs the blocks so that their backward pass is walked one by one, where given. */
  segments?: Segments | undefined;
  /** Who has the weights of the blocks, where they are not always there. */
  residency?: Residency | undefined;
}

/** What a model and its log-probabilities need of a batch. Its tensors belong to the scope in which it was made. */
export interface SpanBatch extends TokenBatch {
  targets_M: Tensor;
  sequences_M: Tensor;
  numSequences: number;
}

/** What a batch has to know of the model that will read it; a `CausalLM` is one. */
export interface BatchReader {
  dtype: DType;
  device: Device;
  headChannels: number;
  /** In which form its layers compute; composed when left out. */
  kernels?: KernelForm | undefined;
}

/**
 * The tensors of a packed batch, on the model's device. What attention needs besides, masks in the model's dtype or the
 * places of sequences, is made once and serves all layers.
 */
export function spanBatch(batch: PackedBatch, reader: BatchReader): SpanBatch {
  const { device } = reader;
  const ids = (values: Int32Array) => tensor(values, { dtype: 'int64', device });
  return tidy(() => {
    const attention = attentionOver(spanGroups(batch.spans), reader);
    return {
      ...attention,
      tokens_N: ids(batch.tokens),
      positions_N: ids(batch.positions),
      longestPosition: batch.positions.reduce((a, b) => Math.max(a, b), 0),
      rows_M: ids(batch.rows),
      targets_M: ids(batch.targets),
      sequences_M: ids(batch.sequences),
      numSequences: batch.numSequences,
    } satisfies SpanBatch;
  });
}

/** Attention over groups of spans, with the tensors it reads: a scope keeps those alone that it can see. */
function attentionOver(groups: ReturnType<typeof spanGroups>, reader: BatchReader) {
  if (canUseVarlen(reader)) {
    const plan = varlenPlan(groups);
    const varlen = varlenTensors(plan, reader.device);
    const attend: TokenBatch['attend'] = (_layer, q_NHC, k_NKC, v_NKC) => varlenAttention(q_NHC, k_NKC, v_NKC, varlen);
    const gathered = reader.kernels === 'fused' ? gatheredAttention(plan, varlen, reader.device) : undefined;
    return { varlen, attend, gathered };
  }
  const masked = groups.map(({ start, prefix, completions }) => ({
    start,
    prefix,
    completions: sum(completions),
    mask: completions.length === 0 ? undefined : completionMask(prefix, completions, reader),
  }));
  const attend: TokenBatch['attend'] = (_layer, q_NHC, k_NKC, v_NKC) => spanAttention(q_NHC, k_NKC, v_NKC, masked);
  return { masked, attend };
}

/**
 * Spans gathered into groups. A span without a prefix opens a group; the spans that name it must follow it directly.
 */
export function spanGroups(spans: PackedBatch['spans']): { start: number; prefix: number; completions: number[] }[] {
  const groups: { start: number; prefix: number; completions: number[] }[] = [];
  let opener = -1;
  let end = 0;
  for (const [i, span] of spans.entries()) {
    if (span.start !== end) throw new Error(`internal: span ${i} starts at ${span.start}, not at ${end}`);
    end += span.length;
    if (span.prefix === -1) {
      opener = i;
      groups.push({ start: span.start, prefix: span.length, completions: [] });
    } else {
      if (span.prefix !== opener)
        throw new Error(`internal: span ${i} names prefix ${span.prefix}, but follows ${opener}`);
      groups.at(-1)!.completions.push(span.length);
    }
  }
  return groups;
}

function completionMask(prefix: number, completions: number[], { dtype, device }: BatchReader): Tensor {
  const rows = sum(completions);
  const columns = prefix + rows;
  const mask = new Float32Array(rows * columns).fill(Number.NEGATIVE_INFINITY);
  let first = 0;
  for (const length of completions) {
    for (let i = first; i < first + length; i++) {
      mask.fill(0, i * columns, i * columns + prefix);
      mask.fill(0, i * columns + prefix + first, i * columns + prefix + i + 1);
    }
    first += length;
  }
  return tensor(mask, { shape: [rows, columns], dtype, device });
}
