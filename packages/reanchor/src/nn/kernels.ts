import { swiglu, type Tensor } from '@reanchor/torch';

/** In which form a network computes what there are kernels of our own for: `kernels` of a recipe. */
export type KernelForm = 'composed' | 'fused';

/** What there are kernels of our own for. */
export interface LayerKernels {
  /** silu(gate) up, element by element (Shazeer 2020, arXiv 2002.05202). */
  swiglu(gate: Tensor, up: Tensor): Tensor;
}

/**
 * Both forms. The one of operators runs everywhere and is what the other is compared with; the fused one is for float32
 * and bfloat16 on CUDA devices that kernels can be made for.
 */
const forms: Readonly<Record<KernelForm, LayerKernels>> = {
  composed: { swiglu: (gate, up) => gate.silu().mul(up) },
  fused: { swiglu },
};

/** What a layer computes with in a form; of operators when left out. */
export const layerKernels = (form: KernelForm = 'composed'): LayerKernels => forms[form];
