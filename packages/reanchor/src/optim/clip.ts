import { dtypeBytes, foreachMul_, foreachNorm, stack, type Tensor, tidy } from '@reanchor/torch';

/**
 * The global L2 norm of the gradients, before clipping; when it is above `maxNorm` the gradients are scaled in place by
 * maxNorm / (norm + 1e-6) (Pascanu et al. 2013; PyTorch's clip_grad_norm_). Norms of half-precision gradients are
 * float32.
 */
export function clipGradNorm_(gradients: Tensor[], maxNorm: number): number {
  return tidy(() => {
    const dtype = gradients[0] && dtypeBytes(gradients[0].dtype) < 4 ? 'float32' : undefined;
    const norm = stack(foreachNorm(gradients, 2, dtype))
      .linalgVectorNorm(2)
      .item();
    const factor = maxNorm / (norm + 1e-6);
    if (factor < 1) foreachMul_(gradients, factor);
    return norm;
  });
}
