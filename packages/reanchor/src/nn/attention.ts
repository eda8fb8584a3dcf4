// Shapes: N packed tokens, H query heads, K key-value heads, C channels of a head; Q queries and L keys of one group.
import { cat, packedAttention, scaledDotProductAttention, type Tensor } from '@reanchor/torch';

/**
 * A prompt and the completions that hang on it. They lie one after the other in the packed batch: the prompt is `start
 * ... start + prefix`, the completions follow. `mask` is 0 where a completion's token may look (the whole prompt and
 * its own past) and -inf elsewhere, shape [tokens of all completions, prefix + tokens of all completions]; undefined
 * without completions.
 */
export interface SpanGroup {
  start: number;
  prefix: number;
  completions: number;
  mask: Tensor | undefined;
}

/**
 * Causal attention over packed spans, softmax(q k^T / sqrt(C) + mask) v, [N, H, C] -> [N, H, C].
 *
 * A prompt attends to itself. Its completions attend to the prompt's keys, which were computed once, and each to its
 * own past; because a group's tokens are neighbours its keys are one slice, so nothing is gathered or copied. With
 * fewer key-value heads than query heads (Ainslie et al. 2023) H / K neighbouring query heads share one.
 */
export function spanAttention(q_NHC: Tensor, k_NKC: Tensor, v_NKC: Tensor, groups: readonly SpanGroup[]): Tensor {
  if (q_NHC.device === 'cpu') {
    const sizes = groups.flatMap(({ start, prefix, completions }) => [start, prefix, completions]);
    const masks = groups.flatMap(({ mask }) => mask ?? []);
    return packedAttention(q_NHC, k_NKC, v_NKC, sizes, masks);
  }
  const enableGqa = q_NHC.shape[1] !== k_NKC.shape[1];
  const heads = (x: Tensor, start: number, length: number) => x.narrow(0, start, length).transpose(0, 1).unsqueeze(0);
  const attend = (start: number, queries: number, from: number, keys: number, mask: Tensor | undefined) =>
    scaledDotProductAttention(heads(q_NHC, start, queries), heads(k_NKC, from, keys), heads(v_NKC, from, keys), {
      attnMask: mask,
      isCausal: mask === undefined,
      enableGqa,
    })
      .squeeze(0)
      .transpose(0, 1);

  const outputs: Tensor[] = [];
  for (const { start, prefix, completions, mask } of groups) {
    if (prefix > 0) outputs.push(attend(start, prefix, start, prefix, undefined));
    if (mask) outputs.push(attend(start + prefix, completions, start, prefix + completions, mask));
  }
  return outputs.length === 0 ? q_NHC : cat(outputs, 0);
}
