// Shapes: B texts, V vocabulary, Q candidates.
import { type Tensor, tidy } from '@reanchor/torch';

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
 * distribution; it is not asked with temperature 0.
 */
export function sample(logits_BV: Tensor, options: SamplingOptions, uniforms: readonly (() => number)[]): Drawn {
  return tidy(() => {
    const logprobs_BV = logits_BV.to(logits_BV.dtype === 'float64' ? 'float64' : 'float32').logSoftmax(-1);
    const tokens =
      options.temperature === 0 ? (logprobs_BV.argmax(-1).toList() as number[]) : draw(logprobs_BV, options, uniforms);
    const logprobs = tokens.map((token, b) => logprobs_BV.select(0, b).select(0, token).item());
    return { tokens, logprobs };
  });
}

function draw(logprobs_BV: Tensor, options: SamplingOptions, uniforms: readonly (() => number)[]): number[] {
  const { temperature, topK, topP } = options;
  const [texts, vocabulary] = logprobs_BV.shape as [number, number];
  const scaled_BV = logprobs_BV.div(temperature);
  const isSorted = topK !== undefined || topP !== undefined;
  const [values_BQ, indices_BQ] = isSorted
    ? scaled_BV.topk(Math.min(topK ?? vocabulary, vocabulary))
    : [scaled_BV, undefined];
  const probabilities = values_BQ!.softmax(-1).contiguous().toList() as number[];
  const indices = indices_BQ?.contiguous().toList() as number[] | undefined;
  const candidates = probabilities.length / texts;
  return uniforms.map((uniform, b) => {
    const row = probabilities.slice(b * candidates, (b + 1) * candidates);
    const place = inverse(topP === undefined ? row : row.slice(0, nucleus(row, topP)), uniform());
    return indices?.[b * candidates + place] ?? place;
  });
}

/** How many of the probabilities, largest first, it takes to reach `topP`; one at least. */
export function nucleus(probabilities: readonly number[], topP: number): number {
  let sum = 0;
  for (const [i, probability] of probabilities.entries()) {
    if (sum >= topP && i > 0) return i;
    sum += probability;
  }
  return probabilities.length;
}

/** The place at which the cumulative sum of the weights passes a share `u` of their total. */
function inverse(weights: readonly number[], u: number): number {
  const target = u * weights.reduce((sum, weight) => sum + weight, 0);
  let sum = 0;
  for (const [i, weight] of weights.entries()) {
    sum += weight;
    if (sum > target) return i;
  }
  return weights.findLastIndex((weight) => weight > 0);
}
