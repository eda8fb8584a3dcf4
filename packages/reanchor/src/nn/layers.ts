// Shapes: N packed tokens, I inputs, O outputs, D width, V vocabulary.
import { decodeLinear, decodeRmsNorm, embedding, layerNorm, linear, rmsNorm, type Tensor } from '@reanchor/torch';
import { isDecoding } from './decoding.js';
import { Module, type ParameterSource } from './module.js';

/** x W^T + b, with W of shape [O, I] as checkpoints keep it. */
export class Linear extends Module<[Tensor]> {
  readonly weight_OI: Tensor;
  readonly bias_O: Tensor | undefined;

  constructor(source: ParameterSource, name: string, inputs: number, outputs: number, hasBias = false) {
    super();
    this.weight_OI = source.parameter(`${name}.weight`, [outputs, inputs]);
    this.bias_O = hasBias ? source.parameter(`${name}.bias`, [outputs]) : undefined;
  }

  protected forward(x_NI: Tensor): Tensor {
    return (isDecoding() ? decodeLinear : linear)(x_NI, this.weight_OI, this.bias_O);
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
