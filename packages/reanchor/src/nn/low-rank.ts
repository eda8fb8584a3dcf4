// Shapes: N packed tokens, I inputs, O outputs, R rank.
import { decodeLinear, linear, noGrad, type Tensor, tidy } from '@reanchor/torch';
import { adapterPrefix, factorName, type LowRankShape } from '../adapters/index.js';
import { isDecoding } from './decoding.js';
import { dropped } from './dropout.js';
import type { ParameterSource } from './module.js';
import { Nf4Weight } from './nf4-weight.js';

/** Whether a parameter is one of an adapter. */
export const isFactor = (name: string): boolean => name.startsWith(adapterPrefix);

/** The names of a layer's factors, those of PEFT's files. */
export const factorNames = (layer: string): { a: string; b: string; bias: string; magnitude: string } => ({
  a: factorName(layer, 'a'),
  b: factorName(layer, 'b'),
  bias: factorName(layer, 'bBias'),
  magnitude: factorName(layer, 'magnitude'),
});

/**
 * The trained part of a linear layer whose weight W is frozen:
 *
 *     LoRA    W x + b + scale B A drop(x)                          Hu et al. 2022, arXiv 2106.09685
 *     DoRA    c (W x + scale B A x) + b,  c = m / |W + scale B A|    Liu et al. 2024, arXiv 2402.09353
 *
 * The norm is of each row, and a constant to autograd (DoRA, section 4.3). The factors are kept in float32 or better
 * and multiplied in the dtype of x.
 */
export class LowRank {
  readonly a_RI: Tensor;
  readonly b_OR: Tensor;
  readonly bias_O: Tensor | undefined;
  readonly magnitude_O: Tensor | undefined;

  constructor(
    source: ParameterSource,
    readonly layer: string,
    readonly shape: LowRankShape,
    { inputs, outputs }: { inputs: number; outputs: number },
  ) {
    const names = factorNames(layer);
    this.a_RI = source.parameter(names.a, [shape.r, inputs]);
    this.b_OR = source.parameter(names.b, [outputs, shape.r]);
    this.bias_O = shape.hasBias ? source.parameter(names.bias, [outputs]) : undefined;
    this.magnitude_O = shape.isDora ? source.parameter(names.magnitude, [outputs]) : undefined;
  }

  /** y + scale B A x, and scale times a bias of B where it has one, in the memory of y. */
  add_(y_NO: Tensor, x_NI: Tensor): Tensor {
    const { scale } = this.shape;
    const [a_RI, b_OR] = [this.a_RI, this.b_OR].map((factor) => factor.to(x_NI.dtype)) as [Tensor, Tensor];
    if (this.bias_O) y_NO.add_(this.bias_O.to(x_NI.dtype), { alpha: scale });
    if (isDecoding()) return y_NO.add_(decodeLinear(decodeLinear(x_NI, a_RI), b_OR), { alpha: scale });
    return y_NO.addmm_(linear(dropped(x_NI, this.layer), a_RI), b_OR.t(), { alpha: scale });
  }

  /**
   * c of DoRA, [O]. |W + s B A|^2 = |W|^2 + 2 s rowsum((W A^T) B) + s^2 rowsum((B A A^T) B), so that B A is never made.
   */
  rowFactors(weight_OI: Tensor | Nf4Weight): Tensor {
    const { a_RI, b_OR, magnitude_O, shape } = this;
    const norms_O = noGrad(() =>
      tidy(() => {
        const exact_OI = weight_OI instanceof Nf4Weight ? weight_OI.dense(a_RI.dtype) : weight_OI.to(a_RI.dtype);
        const crossed_OR = exact_OI.matmul(a_RI.t()).mul(2 * shape.scale);
        const squared_OR = b_OR.matmul(a_RI.matmul(a_RI.t())).mul(shape.scale ** 2);
        const added_O = crossed_OR.add(squared_OR).mul(b_OR).sum([1]);
        return exact_OI.linalgVectorNorm(2, [1]).square().add(added_O).sqrt();
      }),
    );
    return magnitude_O!.div(norms_O);
  }
}
