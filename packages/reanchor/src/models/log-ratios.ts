// How far two models are apart on completions. Shapes: M scored rows, D width, S sequences, V vocabulary.
import { cat, noGrad, type Tensor, tidy, zeros } from '@reanchor/torch';
import { type Group, packGroups, scoredTokens } from '../data/index.js';
import { UserError } from '../errors.js';
import { type SpanBatch, spanBatch } from '../nn/spans.js';
import { type CausalLM, scoredHidden, sequenceLogprobs } from './causal-lm.js';
import { type PassOptions, passes } from './passes.js';

/** A completion under two models; sums over its tokens, nats. */
export interface LogRatio {
  /** Tokens that have a probability. */
  tokens: number;
  /** log pi(y | x) - log ref(y | x). */
  logRatio: number;
  /** The sum over its places t of KL(pi(. | x, y_<t) || ref(. | x, y_<t)), where it is asked for. */
  divergence?: number | undefined;
}

export interface LogRatioOptions extends PassOptions {
  tokensPerMicroBatch: number;
  /** Measure the divergences of whole next-token distributions, too. */
  exact?: boolean | undefined;
}

/**
 * The log-ratios of every completion of every group, in the order given, without gradients; sums are in float64. See
 * {@link passes}. Errors: UserError for `exact` with vocabularies of two sizes; the signal's reason once it is aborted;
 * DistributedError.
 */
export async function logRatios(
  policy: CausalLM,
  reference: CausalLM,
  groups: readonly Group[],
  { exact = false, ...options }: LogRatioOptions,
): Promise<LogRatio[][]> {
  const [ours, theirs] = [policy, reference].map(({ head_VD }) => head_VD.shape[0]!) as [number, number];
  if (exact && ours !== theirs) {
    throw new UserError(
      `the vocabularies have ${ours} and ${theirs} entries: next-token distributions can be compared on one vocabulary only`,
    );
  }
  const found = await passes(groups, options, {
    countOf: ({ completions }) => completions.length * (exact ? 2 : 1),
    compute: (some) =>
      tidy(() =>
        noGrad(() => {
          const batch = spanBatch(packGroups(some), policy);
          const ratio_S = sequenceLogprobs(policy, batch).sub(sequenceLogprobs(reference, batch));
          const divergences = exact ? sequenceDivergences(policy, reference, batch).toList() : undefined;
          return ratio_S.toList().flatMap((ratio, s) => (divergences ? [ratio, divergences[s]!] : [ratio]));
        }),
      ),
    isShared: (policy.residency ?? reference.residency) !== undefined,
  });
  return groups.map(({ prompt, completions }, g) =>
    completions.map((ids, c) => {
      const tokens = scoredTokens({ prompt, completions: [ids] });
      const [logRatio, divergence] = exact ? found[g]!.slice(2 * c) : [found[g]![c], undefined];
      return { tokens, logRatio: logRatio!, divergence };
    }),
  );
}

/** Logits that exist at once, of both models each. */
const elementsAtOnce = 2 ** 22;

/** The sums over each sequence's places of KL(policy || reference) of the next token, [S], float64. */
function sequenceDivergences(policy: CausalLM, reference: CausalLM, batch: SpanBatch): Tensor {
  const [ours_MD, theirs_MD] = [scoredHidden(policy, batch), scoredHidden(reference, batch)];
  const [rows, vocabulary] = [ours_MD.shape[0]!, policy.head_VD.shape[0]!];
  const atOnce = Math.max(1, Math.floor(elementsAtOnce / vocabulary));
  const parts: Tensor[] = [];
  const logprobs = (model: CausalLM, hidden_MD: Tensor, first: number, count: number) =>
    hidden_MD.narrow(0, first, count).matmul(model.head_VD.t()).to('float64').logSoftmax(-1);
  for (let first = 0; first < rows; first += atOnce) {
    const count = Math.min(atOnce, rows - first);
    parts.push(
      tidy(() => {
        const p_MV = logprobs(policy, ours_MD, first, count);
        const q_MV = logprobs(reference, theirs_MD, first, count);
        return p_MV.exp().mul(p_MV.sub(q_MV)).sum([-1]);
      }),
    );
  }
  const zeros_S = zeros([batch.numSequences], { dtype: 'float64', device: policy.device });
  return parts.length === 0 ? zeros_S : zeros_S.indexAdd(0, batch.sequences_M, cat(parts));
}
