// Shapes: N packed tokens, I inputs, O outputs, D width, V vocabulary.
import { decodeLinear, decodeRmsNorm, embedding, layerNorm, linear, rmsNorm, type Tensor } from '@reanchor/torch';
import { isDecoding } from './decoding.js';
import { LowRank } from './low-rank.js';
import { Module, type ParameterSource } from './module.js';
import { Nf4Weight } from './nf4-weight.js';

/** x W^T + b, with W of shape [O, I] as checkpoints keep it; with what {@link LowRank} adds where an adapter has it. */
export class Linear extends Module<[Tensor]> {
  readonly weight_OI: Tensor | Nf4Weight;
  readonly bias_O: Tensor | undefined;
  readonly lowRank: LowRank | undefined;

  constructor(source: ParameterSource, name: string, inputs: number, outputs: number, hasBias = false) {
    super();
    const [weight, shape] = [`${name}.weight`, [outputs, inputs]] as const;
    this.weight_OI = source.quantized?.(weight, shape) ?? source.parameter(weight, shape);
    this.bias_O = hasBias ? source.parameter(`${name}.bias`, [outputs]) : undefined;
    const lowRank = source.lowRank?.(name, { inputs, outputs });
    this.lowRank = lowRank && new LowRank(source, name, lowRank, { inputs, outputs });
  }

  protected forward(x_NI: Tensor): Tensor {
    const { lowRank, weight_OI, bias_O } = this;
    if (!lowRank) return this.#product(x_NI, bias_O);
    if (!lowRank.magnitude_O) return lowRank.add_(this.#product(x_NI, bias_O), x_NI);
    const turned_NO = lowRank.add_(this.#product(x_NI), x_NI);
    const scaled_NO = turned_NO.mul(lowRank.rowFactors(weight_OI).to(x_NI.dtype));
    return bias_O ? scaled_NO.add(bias_O) : scaled_NO;
  }

  #product(x_NI: Tensor, bias_O?: Tensor): Tensor {
    const { weight_OI } = this;
    if (weight_OI instanceof Nf4Weight) return weight_OI.linear(x_NI, bias_O);
    return (isDecoding() ? decodeLinear : linear)(x_NI, weight_OI, bias_O);
  }
}

/** The rows of a table that the token ids name: [N] -> [N, D]. */
export class Embedding extends Module<[Tensor]> {
  readonly weight_VD: Tensor;

  constructor(source: ParameterSource, name: string, vocabulary: number, width: number) {
    super();
    this.weight_VD = source.parameter(`${name}.weight`, [vocabulary, width]);
  }

  protected forward(tokens_N: Tensor): Tensor {
    return embedding(this.weight_VD, tokens_N);
  }
}

/**
 * x / sqrt(mean(x^2) + eps) * weight over the last dimension; half precisions are normalised in fp32 (Zhang & Sennrich
 * 2019).
 */
export class RmsNorm extends Module<[Tensor]> {
  readonly weight_D: Tensor;

  constructor(
    source: ParameterSource,
    name: string,
    readonly width: number,
    readonly eps: number,
  ) {
    super();
    this.weight_D = source.parameter(`${name}.weight`, [width]);
  }

  protected forward(x_ND: Tensor): Tensor {
    if (isDecoding()) return decodeRmsNorm(x_ND, this.weight_D, this.eps);
    return rmsNorm(x_ND, [this.width], this.weight_D, this.eps);
  }
}

/** (x - mean) / sqrt(variance + eps) * weight + bias over the last dimension (Ba et al. 2016). */
export class LayerNorm extends Module<[Tensor]> {
  readonly weight_D: Tensor;
  readonly bias_D: Tensor;

  constructor(
    source: ParameterSource,
    name: string,
    readonly width: number,
    readonly eps: number,
  ) {
    super();
    this.weight_D = source.parameter(`${name}.weight`, [width]);
    this.bias_D = source.parameter(`${name}.bias`, [width]);
  }

  protected forward(x_ND: Tensor): Tensor {
    return layerNorm(x_ND, [this.width], this.weight_D, this.bias_D, this.eps);
  }
}
