// Shapes: N packed tokens, H query heads, K key-value heads, C channels of a head, X = 3C.
import { rotate, rotateHeads, splitHeads, swiglu, type Tensor } from '@reanchor/torch';
import type { RotaryAngles } from './rotary.js';

/** In which form a network computes what there are kernels of our own for: `kernels` of a recipe. */
export type KernelForm = 'composed' | 'fused';

/** What there are kernels of our own for. */
export interface LayerKernels {
  /** silu(gate) up, element by element (Shazeer 2020, arXiv 2002.05202). */
  swiglu(gate: Tensor, up: Tensor): Tensor;
  /** Queries and keys with rotary positions. */
  rotateHeads(q_NHC: Tensor, k_NKC: Tensor, angles: RotaryAngles): [Tensor, Tensor];
  /** Queries and keys with rotary positions, and values, of a projection whose heads have the three side by side. */
  splitHeads(qkv_NHX: Tensor, angles: RotaryAngles): [Tensor, Tensor, Tensor];
}

/** By operators: runs everywhere, and is what the other form is compared with. */
const composed: LayerKernels = {
  swiglu: (gate, up) => gate.silu().mul(up),
  rotateHeads: (q_NHC, k_NKC, { cos, sin }) => [rotate(q_NHC, cos, sin), rotate(k_NKC, cos, sin)],
  splitHeads: (qkv_NHX, { cos, sin }) => {
    const [q_NHC, k_NHC, v_NHC] = qkv_NHX.chunk(3, -1) as [Tensor, Tensor, Tensor];
    return [rotate(q_NHC, cos, sin), rotate(k_NHC, cos, sin), v_NHC];
  },
};

/** By kernels: for float32 and bfloat16 on CUDA devices that kernels can be made for. */
const fused: LayerKernels = {
  swiglu,
  rotateHeads: (q_NHC, k_NKC, { cos, sin }) => rotateHeads(q_NHC, k_NKC, cos, sin),
  splitHeads: (qkv_NHX, { cos, sin }) => splitHeads(qkv_NHX, cos, sin),
};

/** What a layer computes with in a form; by operators when left out. */
export const layerKernels = (form: KernelForm = 'composed'): LayerKernels => (form === 'fused' ? fused : composed);
