// Shapes: Q queries and L keys of a sequence, H query heads, K key-value heads, C channels of a head.
import { cat, type Tensor, tensor } from '@reanchor/torch';
import type { VarlenKernel } from '#reanchor/nn/varlen.js';

/**
 * What flash attention computes for sequences of different lengths, one sequence after the other: causal, aligned at
 * the end, so that query i of Q sees the keys up to L - Q + i.
 */
export const plainVarlen: VarlenKernel = (q_NHC, k_GKC, v_GKC, { queryEnds_S1, keyEnds_S1 }) => {
  const [, heads, channels] = q_NHC.shape as [number, number, number];
  const [queryEnds, keyEnds] = [queryEnds_S1.toList(), keyEnds_S1.toList()];
  const part = (x: Tensor, ends: number[], s: number) =>
    x
      .narrow(0, ends[s]!, ends[s + 1]! - ends[s]!)
      .transpose(0, 1)
      .repeatInterleave(heads / x.shape[1]!, 0);
  const outputs = queryEnds.slice(1).map((_, s) => {
    const [q_HQC, k_HLC, v_HLC] = [part(q_NHC, queryEnds, s), part(k_GKC, keyEnds, s), part(v_GKC, keyEnds, s)];
    const [Q, L] = [q_HQC.shape[1]!, k_HLC.shape[1]!];
    const mask = Array.from({ length: Q * L }, (_, i) =>
      i % L > L - Q + Math.floor(i / L) ? Number.NEGATIVE_INFINITY : 0,
    );
    const scores_HQL = q_HQC.matmul(k_HLC.transpose(1, 2)).div(Math.sqrt(channels));
    const weights_HQL = scores_HQL.add(tensor(mask, { shape: [Q, L], dtype: q_NHC.dtype })).softmax(-1);
    return weights_HQL.matmul(v_HLC).transpose(0, 1);
  });
  return cat(outputs, 0);
};
