// Shapes: N packed tokens, G gathered keys, H query heads, K key-value heads, C channels of a head, X = 3C.
import { rotate, rotateHeads, swiglu, type Tensor } from '@reanchor/torch';
import type { KernelForm } from './module.js';
import type { RotaryAngles } from './rotary.js';
import type { TokenBatch } from './spans.js';

/** Where the attention of a layer takes place: its number, the batch, and the angles of the batch's tokens. */
export interface AttentionPlace {
  layer: number;
  batch: TokenBatch;
  angles: RotaryAngles;
}

/** What there are kernels of our own for. */
export interface LayerKernels {
  /** silu(gate) up, element by element (Shazeer 2020, arXiv 2002.05202). */
  swiglu(gate: Tensor, up: Tensor): Tensor;
  /** Attention of queries and keys that get rotary positions first, [N, H, C] -> [N, H, C]. */
  attend(q_NHC: Tensor, k_NKC: Tensor, v_NKC: Tensor, place: AttentionPlace): Tensor;
  /** The same out of a projection whose heads have queries, keys and values side by side. */
  attendJoined(qkv_NHX: Tensor, place: AttentionPlace): Tensor;
}

/** By operators: runs everywhere, and is what the other form is compared with. */
const composed: LayerKernels = {
  swiglu: (gate, up) => gate.silu().mul(up),
  attend: (q_NHC, k_NKC, v_NKC, { layer, batch, angles: { cos, sin } }) =>
    batch.attend(layer, rotate(q_NHC, cos, sin), rotate(k_NKC, cos, sin), v_NKC),
  attendJoined: (qkv_NHX, place) => composed.attend(...(qkv_NHX.chunk(3, -1) as [Tensor, Tensor, Tensor]), place),
};

/** By kernels: for float32 and bfloat16 on CUDA devices that kernels can be made for. */
const fused: LayerKernels = {
  swiglu,
  attend(q_NHC, k_NKC, v_NKC, { layer, batch, angles }) {
    const { gathered } = batch;
    // Values that are not gathered stay where they are.
    const projections = gathered ? [q_NHC, k_NKC, v_NKC] : [q_NHC, k_NKC];
    const [q, k, v = v_NKC] = rotateHeads(projections, { ...angles, keys: gathered?.keys }) as [
      Tensor,
      Tensor,
      Tensor?,
    ];
    return gathered ? gathered.attend(q, k, v) : batch.attend(layer, q, k, v);
  },
  attendJoined(qkv_NHX, { layer, batch, angles }) {
    const { gathered } = batch;
    const [q, k, v] = rotateHeads([qkv_NHX], { ...angles, keys: gathered?.keys }) as [Tensor, Tensor, Tensor];
    return gathered ? gathered.attend(q, k, v) : batch.attend(layer, q, k, v);
  },
};

/** What a layer computes with in a form; by operators when left out. */
export const layerKernels = (form: KernelForm = 'composed'): LayerKernels => (form === 'fused' ? fused : composed);
