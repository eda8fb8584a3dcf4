import { dtypeBytes, foreachMul_, foreachNorm, stack, type Tensor, tidy } from '@reanchor/torch';

/** The global L2 norm of the gradients. Norms of half-precision gradients are float32. */
export function gradNorm(gradients: Tensor[]): number {
  return tidy(() => {
    const dtype = gradients[0] && dtypeBytes(gradients[0].dtype) < 4 ? 'float32' : undefined;
    return stack(foreachNorm(gradients, 2, dtype))
      .linalgVectorNorm(2)
      .item();
  });
}

/** What gradients of a norm are scaled by so that it is `maxNorm` at most: maxNorm / (norm + 1e-6), or 1. */
export const clipFactor = (norm: number, maxNorm: number): number => Math.min(1, maxNorm / (norm + 1e-6));

/**
 * The global L2 norm of the gradients, before clipping; when it is above `maxNorm` the gradients are scaled in place,
 * see {@link clipFactor} (Pascanu et al. 2013; PyTorch's clip_grad_norm_).
 */
export function clipGradNorm_(gradients: Tensor[], maxNorm: number): number {
  const norm = gradNorm(gradients);
  const factor = clipFactor(norm, maxNorm);
  if (factor < 1) foreachMul_(gradients, factor);
  return norm;
}
