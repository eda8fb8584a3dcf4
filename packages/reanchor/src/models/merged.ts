/** A model with its adapter merged into its matrices. */
// Shapes: I inputs, O outputs.
import { noGrad, type Tensor, tidy } from '@reanchor/torch';
import { factorNames, isFactor } from '../nn/low-rank.js';
import type { CausalLM } from './causal-lm.js';
import type { StoredParameter } from './save.js';

/**
 * The matrix of a linear layer with its adapter, [O, I], in the dtype of the factors:
 *
 *     W + scale B A,  of DoRA  m (W + scale B A) / |W + scale B A|
 */
export function adaptedMatrix({ parameters, lowRank }: CausalLM, layer: string): Tensor {
  const names = factorNames(layer);
  const [a_RI, b_OR] = [parameters.get(names.a)!.detach(), parameters.get(names.b)!.detach()];
  const frozen_OI = parameters.get(`${layer}.weight`)!.detach().to(a_RI.dtype);
  const sum_OI = frozen_OI.addmm(b_OR, a_RI, { alpha: lowRank.get(layer)!.scale });
  const magnitude_O = parameters.get(names.magnitude)?.detach();
  if (!magnitude_O) return sum_OI;
  return sum_OI.mul(magnitude_O.div(sum_OI.linalgVectorNorm(2, [1])).unsqueeze(1));
}

/** The parameters of a model without an adapter that computes what this one does, in their order. */
export function mergedParameters(model: CausalLM): StoredParameter[] {
  return [...model.parameters].flatMap(([name, { shape, dtype }]) => {
    return isFactor(name) ? [] : [{ name, shape, dtype, value: () => mergedParameter(model, name) }];
  });
}

/** A parameter of the base, with what the adapter adds to it, in the dtype of the factors where it adds something. */
export function mergedParameter(model: CausalLM, name: string): Tensor {
  const { parameters, lowRank } = model;
  const at = name.lastIndexOf('.');
  const layer = name.slice(0, at);
  const shape = lowRank.get(layer);
  const own = parameters.get(name)!.detach();
  const bias = shape && parameters.get(factorNames(layer).bias)?.detach();
  if (!shape || (name.endsWith('.bias') && !bias)) return own;
  return noGrad(() =>
    tidy(() =>
      name.endsWith('.bias') ? own.to(bias!.dtype).add(bias!, { alpha: shape.scale }) : adaptedMatrix(model, layer),
    ),
  );
}
