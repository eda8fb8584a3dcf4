// Shapes: N packed tokens, D width.
import { type Tensor, tidy } from '@reanchor/torch';
import type { Module } from '../nn/module.js';
import type { RotaryAngles } from '../nn/rotary.js';
import type { TokenBatch } from '../nn/spans.js';

type Block = Module<[Tensor, TokenBatch, RotaryAngles]>;

/**
 * The blocks of a network, one after the other, on its embedded tokens, which are given up. Their activations are kept
 * for the backward pass, or as `batch.segments` says.
 */
export function runBlocks(
  blocks: readonly Block[],
  embedded_ND: Tensor,
  batch: TokenBatch,
  angles: RotaryAngles,
): Tensor {
  const { segments, residency } = batch;
  if (segments) {
    const steps = blocks.map((block) => (x_ND: Tensor) => block.call(x_ND, batch, angles));
    return segments.run(steps, embedded_ND, [angles.cos, angles.sin]);
  }
  let x_ND = embedded_ND;
  for (const [i, block] of blocks.entries()) {
    residency?.enter(i, i + 1 < blocks.length ? i + 1 : undefined);
    // In a step of generation modules have no scopes of their own, and a block is the first that has.
    const next_ND = tidy(() => block.call(x_ND, batch, angles));
    residency?.leave(i);
    x_ND.dispose();
    x_ND = next_ND;
  }
  return x_ND;
}
