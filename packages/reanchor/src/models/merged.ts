/** A model with its adapter merged into its matrices. */
// Shapes: I inputs, O outputs.
import { type DType, noGrad, type Tensor, tidy } from '@reanchor/torch';
import { moduleOf } from '../adapters/index.js';
import { factorNames } from '../nn/low-rank.js';
import type { CausalLM } from './causal-lm.js';
import { networkOf } from './network.js';
import type { StoredParameter } from './save.js';

/** The matrix of a linear layer without its adapter, [O, I]; one that is kept in four bits with the values of these. */
export function frozenMatrix({ parameters, quantized }: CausalLM, layer: string, dtype: DType): Tensor {
  const name = `${layer}.weight`;
  return quantized.get(name)?.dense(dtype) ?? parameters.get(name)!.detach().to(dtype);
}

/** What an adapter has of a linear layer. */
export interface Factors {
  a_RI: Tensor;
  b_OR: Tensor;
  scale: number;
  magnitude_O?: Tensor | undefined;
}

/**
 * A matrix with an adapter, [O, I], which is in the dtype of the factors:
 *
 *     W + scale B A,  of DoRA  m (W + scale B A) / |W + scale B A|
 */
export function withFactors(frozen_OI: Tensor, { a_RI, b_OR, scale, magnitude_O }: Factors): Tensor {
  const sum_OI = frozen_OI.addmm(b_OR, a_RI, { alpha: scale });
  if (!magnitude_O) return sum_OI;
  return sum_OI.mul(magnitude_O.div(sum_OI.linalgVectorNorm(2, [1])).unsqueeze(1));
}

/** The matrix of a linear layer with its adapter, [O, I], in the dtype of the factors: see {@link withFactors}. */
export function adaptedMatrix(model: CausalLM, layer: string): Tensor {
  const { parameters, lowRank } = model;
  const names = factorNames(layer);
  const [a_RI, b_OR] = [parameters.get(names.a)!.detach(), parameters.get(names.b)!.detach()];
  const { scale } = lowRank.get(layer)!;
  const magnitude_O = parameters.get(names.magnitude)?.detach();
  return withFactors(frozenMatrix(model, layer, a_RI.dtype), { a_RI, b_OR, scale, magnitude_O });
}

/** The parameters of a model without an adapter that computes what this one does, in their order. */
export function mergedParameters(model: CausalLM): StoredParameter[] {
  const { configJson, dtype } = model;
  return [...networkOf(configJson).parameters].map(([name, shape]) => {
    return { name, shape, dtype, value: () => mergedParameter(model, name) };
  });
}

/** A parameter of the base, with what the adapter adds to it, in the dtype of the factors where it adds something. */
export function mergedParameter(model: CausalLM, name: string): Tensor {
  const { parameters, lowRank } = model;
  const layer = moduleOf(name);
  const shape = lowRank.get(layer);
  if (!shape && !parameters.has(name)) return frozenMatrix(model, layer, model.dtype);
  if (shape && !name.endsWith('.bias')) return noGrad(() => tidy(() => adaptedMatrix(model, layer)));
  const own = parameters.get(name)!.detach();
  const bias = shape && parameters.get(factorNames(layer).bias)?.detach();
  return bias ? noGrad(() => tidy(() => own.to(bias.dtype).add(bias, { alpha: shape.scale }))) : own;
}
