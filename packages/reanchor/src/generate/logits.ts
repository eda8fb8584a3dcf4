// The logits of each text's next token: after its prompt, and after one more token with the cache.
// Shapes: B texts, N packed tokens, T slots of the cache, D width, V vocabulary.
import { decodeLinear, full, type Tensor, tensor } from '@reanchor/torch';
import type { CausalLM } from '../models/causal-lm.js';
import { spanAttention } from '../nn/attention.js';
import { decoding } from '../nn/decoding.js';
import type { TokenBatch } from '../nn/spans.js';
import type { KeyValueCache } from './key-value-cache.js';

const idsOf = (values: Iterable<number>, { device }: CausalLM) =>
  tensor(Int32Array.from(values), { dtype: 'int64', device });

/**
 * The logits after prompts, in the order of texts, [B, V]; the cache takes up their keys and values. `ids` are the
 * prompts of the texts; texts with the same array share its computation.
 */
export function promptLogits(model: CausalLM, prompts: readonly Int32Array[], cache: KeyValueCache): Tensor {
  const starts = new Map<Int32Array, number>();
  let end = 0;
  for (const ids of prompts) {
    if (starts.has(ids)) continue;
    starts.set(ids, end);
    end += ids.length;
  }
  const tokens = new Int32Array(end);
  const positions = new Int32Array(end);
  for (const [ids, start] of starts) {
    tokens.set(ids, start);
    for (let i = 0; i < ids.length; i++) positions[start + i] = i;
  }
  const groups = [...starts].map(([ids, start]) => ({
    start,
    prefix: ids.length,
    completions: 0,
    mask: undefined,
  }));
  const spans = prompts.map((ids) => ({ start: starts.get(ids)!, length: ids.length }));
  return logitsOf(model, {
    tokens_N: idsOf(tokens, model),
    positions_N: idsOf(positions, model),
    longestPosition: Math.max(...prompts.map(({ length }) => length)) - 1,
    rows_M: idsOf(
      spans.map(({ start, length }) => start + length - 1),
      model,
    ),
    attend(layer, q_NHC, k_NKC, v_NKC) {
      cache.storePrompts(layer, spans, k_NKC, v_NKC);
      return spanAttention(q_NHC, k_NKC, v_NKC, groups);
    },
  });
}

/** The logits after one more token of each text in the cache, [B, V]. */
export function nextLogits(
  model: CausalLM,
  tokens: readonly number[],
  positions: readonly number[],
  cache: KeyValueCache,
): Tensor {
  const batch: TokenBatch = {
    tokens_N: idsOf(tokens, model),
    positions_N: idsOf(positions, model),
    longestPosition: Math.max(...positions),
    rows_M: idsOf(tokens.keys(), model),
    attend: (layer, q_BHC, k_BKC, v_BKC) => cache.attend(layer, q_BHC, k_BKC, v_BKC),
  };
  return hasKernels(model) ? decoding(() => logitsOf(model, batch)) : logitsOf(model, batch);
}

/** The logits after more tokens of the one text in the cache, which takes up their keys and values, [1, V]. */
export function continuedLogits(model: CausalLM, tokens: Int32Array, cache: KeyValueCache): Tensor {
  const past = cache.length;
  cache.advance(tokens.length);
  const { dtype, device } = model;
  const mask_NT = full([tokens.length, cache.length], Number.NEGATIVE_INFINITY, { dtype, device }).triu(past + 1);
  return logitsOf(model, {
    tokens_N: idsOf(tokens, model),
    positions_N: idsOf(
      tokens.map((_, i) => past + i),
      model,
    ),
    longestPosition: cache.length - 1,
    rows_M: idsOf([tokens.length - 1], model),
    attend: (layer, q_NHC, k_NKC, v_NKC) => cache.extend(layer, q_NHC, k_NKC, v_NKC, mask_NT),
  });
}

const hasKernels = ({ dtype, device }: CausalLM) => dtype === 'float32' && device === 'cpu';

function logitsOf(model: CausalLM, batch: TokenBatch): Tensor {
  const hidden_BD = model.hidden(batch);
  return hasKernels(model) ? decodeLinear(hidden_BD, model.head_VD) : hidden_BD.matmul(model.head_VD.t());
}
