import { foreachMul_, foreachNorm, stack, type Tensor, tidy } from '@reanchor/torch';

/**
 * The global L2 norm of the gradients, before clipping; when it is above `maxNorm` the gradients are scaled in place by
 * maxNorm / (norm + 1e-6) (Pascanu et al. 2013; PyTorch's clip_grad_norm_).
 */
export function clipGradNorm_(gradients: Tensor[], maxNorm: number): number {
  return tidy(() => {
    const norm = stack(foreachNorm(gradients, 2)).linalgVectorNorm(2).item();
    const factor = maxNorm / (norm + 1e-6);
    if (factor < 1) foreachMul_(gradients, factor);
    return norm;
  });
}
