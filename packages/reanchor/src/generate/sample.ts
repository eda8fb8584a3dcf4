// Shapes: B texts, V vocabulary, Q candidates.
import { searchsorted, type Tensor, tensor, tidy } from '@reanchor/torch';
import { UserError } from '../errors.js';

export interface SamplingOptions {
  /** Divides the logits; 0 always takes the most probable token. */
  temperature: number;
  /** Only so many of the most probable tokens are drawn from; undefined: all. */
  topK?: number | undefined;
  /** Only the most probable tokens whose probabilities add up to this are drawn from; undefined: all. */
  topP?: number | undefined;
}

/** A token drawn for every text, and its log-probability under the model (temperature 1, all tokens). */
export interface Drawn {
  tokens: number[];
  logprobs: number[];
}

/**
 * Draws the next token of every text, in the order of transformers: temperature, then top-k, then top-p of what is left.
 * `uniforms` gives each text its own random number in [0, 1), which decides by the inverse of the cumulative
 * distribution; it is not asked with temperature 0. Errors: UserError for logits that are not numbers.
 */
export function sample(logits_BV: Tensor, options: SamplingOptions, uniforms: readonly (() => number)[]): Drawn {
  return tidy(() => {
    const logprobs_BV = logits_BV.to(logits_BV.dtype === 'float64' ? 'float64' : 'float32').logSoftmax(-1);
    const { temperature, topK, topP } = options;
    let tokens: number[];
    if (temperature === 0) tokens = logprobs_BV.argmax(-1).toList();
    else if (topK === undefined && (topP ?? 1) === 1) tokens = drawFromAll(logprobs_BV, temperature, uniforms);
    else tokens = drawFromTop(logprobs_BV, options, uniforms);
    const tokens_B1 = tensor(Int32Array.from(tokens), { shape: [tokens.length, 1], dtype: 'int64' });
    const logprobs = logprobs_BV.gather(1, tokens_B1).toList();
    if (logprobs.some(Number.isNaN)) {
      throw new UserError("the model's logits are not numbers (NaN): its weights are broken, or its training diverged");
    }
    return { tokens, logprobs };
  });
}

/** Draws from all tokens; only the tokens drawn leave libtorch. Sums are in float64. */
function drawFromAll(logprobs_BV: Tensor, temperature: number, uniforms: readonly (() => number)[]): number[] {
  const [texts, vocabulary] = logprobs_BV.shape as [number, number];
  const probabilities_BV = temperature === 1 ? logprobs_BV.exp() : logprobs_BV.div(temperature).softmax(-1);
  const sums_BV = probabilities_BV.cumsum(-1, { dtype: 'float64' });
  const uniform_B1 = tensor(
    Float64Array.from(uniforms, (uniform) => uniform()),
    { shape: [texts, 1] },
  );
  const targets_B1 = uniform_B1.mul(sums_BV.narrow(1, vocabulary - 1, 1));
  // The first token whose sum is above the target: it has a probability above 0.
  const places_B1 = searchsorted(sums_BV, targets_B1, { right: true });
  return places_B1.clampMax(vocabulary - 1).toList();
}

/** Candidates of a top-p draw that are looked at before all tokens are. */
const fewCandidates = 256;

function drawFromTop(
  logprobs_BV: Tensor,
  { temperature, topK, topP = 1 }: SamplingOptions,
  uniforms: readonly (() => number)[],
): number[] {
  const [texts, vocabulary] = logprobs_BV.shape as [number, number];
  const scaled_BV = temperature === 1 ? logprobs_BV : logprobs_BV.div(temperature).logSoftmax(-1);
  const most = Math.min(topK ?? vocabulary, vocabulary);
  const few = Math.min(topK ?? fewCandidates, vocabulary);
  const draws = uniforms.map((uniform) => uniform());
  const candidates = (rows_RV: Tensor, count: number) => {
    const [values_RQ, ids_RQ] = rows_RV.topk(count);
    return { probabilities: values_RQ.exp().toList(), ids: ids_RQ.toList(), count };
  };
  const all = candidates(scaled_BV, few);
  return Array.from({ length: texts }, (_, b) => {
    const row = all.probabilities.slice(b * few, (b + 1) * few);
    // Of what top-k has left, the share topP; without top-k the probabilities add up to 1 over all tokens.
    const total = topK === undefined ? 1 : row.reduce((sum, p) => sum + p, 0);
    const kept = nucleus(row, topP * total);
    if (few === most || sumOf(row, kept) >= topP) return all.ids[b * few + inverse(row.slice(0, kept), draws[b]!)]!;
    const { probabilities, ids } = candidates(scaled_BV.narrow(0, b, 1), most);
    return ids[inverse(probabilities.slice(0, nucleus(probabilities, topP)), draws[b]!)]!;
  });
}

/** How many of the probabilities, largest first, it takes to reach `share`; one at least. */
export function nucleus(probabilities: readonly number[], share: number): number {
  let sum = 0;
  for (const [i, probability] of probabilities.entries()) {
    if (sum >= share && i > 0) return i;
    sum += probability;
  }
  return probabilities.length;
}

const sumOf = (values: readonly number[], count: number) => values.slice(0, count).reduce((sum, x) => sum + x, 0);

/** The place at which the cumulative sum of the weights passes a share `u` of their total. */
function inverse(weights: readonly number[], u: number): number {
  const target = u * sumOf(weights, weights.length);
  let sum = 0;
  for (const [i, weight] of weights.entries()) {
    sum += weight;
    if (sum > target) return i;
  }
  return weights.findLastIndex((weight) => weight > 0);
}
