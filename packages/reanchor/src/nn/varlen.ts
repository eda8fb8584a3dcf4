// Attention over packed spans by libtorch's flash attention for sequences of different lengths.
// Shapes: N packed tokens, G gathered keys, S sequences, H query heads, K key-value heads, C channels of a head.
import {
  type Device,
  type DType,
  flashAttentionForward,
  type KeyRows,
  type Tensor,
  tensor,
  tidy,
} from '@reanchor/torch';

/**
 * Whether flash attention takes tensors like these: float16 or bfloat16 on a CUDA device, heads of at most 256
 * channels, a multiple of 8 (`mha_varlen_fwd` of libtorch's flash_api.cpp).
 */
export const canUseVarlen = ({ dtype, device, headChannels }: { dtype: DType; device: Device; headChannels: number }) =>
  device.startsWith('cuda') &&
  (dtype === 'float16' || dtype === 'bfloat16') &&
  headChannels % 8 === 0 &&
  headChannels <= 256;

/**
 * Which queries see which keys: sequence s has the queries queryEnds[s - 1] ... queryEnds[s], and likewise its keys.
 */
export interface VarlenPlan {
  /** [S + 1] Cumulative lengths, from 0. */
  queryEnds: Int32Array;
  keyEnds: Int32Array;
  /** [G] The packed token of each key; undefined where keys are the packed tokens as they stand. */
  keyTokens: Int32Array | undefined;
  longestQuery: number;
  longestKey: number;
}

/**
 * The sequences of a packed batch. A prompt and its first completion are neighbours and so are one causal sequence;
 * every further completion is a sequence whose keys are the prompt's and its own. Causal means aligned at the end: the
 * last query sees all keys of its sequence. Sequences without queries are left out.
 */
export function varlenPlan(
  groups: readonly { start: number; prefix: number; completions: readonly number[] }[],
): VarlenPlan {
  const sequences = groups.flatMap(({ start, prefix, completions: [first = 0, ...others] }) => {
    let begin = start + prefix + first;
    const rest = others.map((length) => {
      const sequence = { start, prefix, begin, length };
      begin += length;
      return sequence;
    });
    return [{ start, prefix: 0, begin: start, length: prefix + first }, ...rest].filter(({ length }) => length > 0);
  });
  const queries = sequences.map(({ length }) => length);
  const keys = sequences.map(({ prefix, length }) => prefix + length);
  const isGathered = sequences.some(({ prefix }) => prefix > 0);
  return {
    queryEnds: cumulative(queries),
    keyEnds: cumulative(keys),
    keyTokens: isGathered
      ? Int32Array.from(
          sequences.flatMap(({ start, prefix, begin, length }) => [...range(start, prefix), ...range(begin, length)]),
        )
      : undefined,
    longestQuery: Math.max(0, ...queries),
    longestKey: Math.max(0, ...keys),
  };
}

const range = (start: number, length: number) => Array.from({ length }, (_, i) => start + i);

function cumulative(lengths: readonly number[]): Int32Array {
  const ends = new Int32Array(lengths.length + 1);
  for (const [i, length] of lengths.entries()) ends[i + 1] = ends[i]! + length;
  return ends;
}

/** A plan with its arrays as tensors. */
export interface VarlenTensors {
  queryEnds_S1: Tensor;
  keyEnds_S1: Tensor;
  keyTokens_G: Tensor | undefined;
  longestQuery: number;
  longestKey: number;
}

/** The tensors of a plan, which belong to the current scope. */
export function varlenTensors(plan: VarlenPlan, device: Device): VarlenTensors {
  const { queryEnds, keyEnds, keyTokens, longestQuery, longestKey } = plan;
  return {
    queryEnds_S1: tensor(queryEnds, { device }),
    keyEnds_S1: tensor(keyEnds, { device }),
    keyTokens_G: keyTokens && tensor(keyTokens, { dtype: 'int64', device }),
    longestQuery,
    longestKey,
  };
}

/** softmax(q k^T / sqrt(C) + mask) v within the sequences of a plan, [N, H, C] -> [N, H, C]. */
export type VarlenKernel = (q_NHC: Tensor, k_GKC: Tensor, v_GKC: Tensor, sequences: VarlenTensors) => Tensor;

/**
 * Causal attention over packed spans, as `spanAttention` computes it, with all sequences in one call of `kernel`. A
 * prompt's keys and values are repeated for each completion after the first; the gradients of the copies add up.
 */
export function varlenAttention(
  q_NHC: Tensor,
  k_NKC: Tensor,
  v_NKC: Tensor,
  sequences: VarlenTensors,
  kernel: VarlenKernel = flashKernel,
): Tensor {
  if (q_NHC.shape[0] === 0) return q_NHC;
  const { keyTokens_G } = sequences;
  const gathered = (x_NKC: Tensor) => (keyTokens_G ? x_NKC.indexSelect(0, keyTokens_G) : x_NKC);
  return tidy(() => kernel(q_NHC, gathered(k_NKC), gathered(v_NKC), sequences));
}

/** Attention over keys and values that layers gather, where some tokens' serve several sequences. */
export interface GatheredAttention {
  keys: KeyRows;
  /** As {@link varlenAttention}, of keys and values that are gathered already. */
  attend(q_NHC: Tensor, k_GKC: Tensor, v_GKC: Tensor): Tensor;
}

/** Attention over the gathered keys of a plan; undefined where none are. Its tensors belong to the current scope. */
export function gatheredAttention(
  { keyTokens, queryEnds }: VarlenPlan,
  sequences: VarlenTensors,
  device: Device,
): GatheredAttention | undefined {
  if (!keyTokens) return undefined;
  const { ends, places } = keyPlaces(keyTokens, queryEnds.at(-1)!);
  const [rows_G, ends_N1, places_G] = [keyTokens, ends, places].map((list) => tensor(list, { device })) as [
    Tensor,
    Tensor,
    Tensor,
  ];
  return {
    keys: { rows_G, ends_N1, places_G },
    attend: (q_NHC, k_GKC, v_GKC) => tidy(() => flashKernel(q_NHC, k_GKC, v_GKC, sequences)),
  };
}

/** Where each token stands among gathered keys: token n at places[ends[n]] ... places[ends[n + 1] - 1], in order. */
export function keyPlaces(keyTokens: Int32Array, tokens: number): { ends: Int32Array; places: Int32Array } {
  const counts = new Array<number>(tokens).fill(0);
  for (const token of keyTokens) counts[token]! += 1;
  const ends = cumulative(counts);
  const next = ends.slice();
  const places = new Int32Array(keyTokens.length);
  for (const [place, token] of keyTokens.entries()) places[next[token]!++] = place;
  return { ends, places };
}

const flashKernel: VarlenKernel = (q_NHC, k_GKC, v_GKC, { queryEnds_S1, keyEnds_S1, longestQuery, longestKey }) =>
  flashAttentionForward(q_NHC, k_GKC, v_GKC, {
    cumSeqQ: queryEnds_S1,
    cumSeqK: keyEnds_S1,
    // The lengths are bounds. With 1 the kernel would take every sequence to have a query, and rearrange grouped heads
    // in a way that only generation can use.
    maxQ: Math.max(2, longestQuery),
    maxK: longestKey,
    dropoutP: 0,
    isCausal: true,
    returnDebugMask: false,
  })[0];
