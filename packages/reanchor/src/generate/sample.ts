// Shapes: B texts, V vocabulary, Q candidates.
import { searchsorted, type Tensor, tensor, tidy } from '@reanchor/torch';
import { UserError } from '../errors.js';
import { drawFromNucleus, inverse, nucleusSize } from './nucleus.js';

/** From which tokens the next one is drawn. */
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
 * Draws the next token of every text, in the order of transformers: temperature, then top-k, then top-p of what is
 * left. `uniforms` gives each text its own random number in [0, 1), which decides by the inverse of the cumulative
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
    const tokens_B1 = tensor(Int32Array.from(tokens), {
      shape: [tokens.length, 1],
      dtype: 'int64',
      device: logits_BV.device,
    });
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
    { shape: [texts, 1], device: logprobs_BV.device },
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
  const vocabulary = logprobs_BV.shape[1]!;
  const scaled_BV = temperature === 1 ? logprobs_BV : logprobs_BV.div(temperature).logSoftmax(-1);
  const count = Math.min(topK ?? fewCandidates, vocabulary);
  const [values_BQ, ids_BQ] = scaled_BV.topk(count);
  const candidates = values_BQ.exp().toList();
  const ids = ids_BQ.toList();
  return uniforms.map((uniform, b) => {
    const row = candidates.slice(b * count, (b + 1) * count);
    const sum = row.reduce((sum, probability) => sum + probability, 0);
    // The share topP is of what top-k has left; without top-k the probabilities of all tokens add up to 1.
    const share = topK === undefined ? topP : topP * sum;
    if (topK === undefined && sum < share && count < vocabulary) {
      const all = scaled_BV.select(0, b).exp().data() as Float32Array | Float64Array;
      return drawFromNucleus(all, share, uniform());
    }
    return ids[b * count + inverse(row, uniform(), nucleusSize(row, share))]!;
  });
}
