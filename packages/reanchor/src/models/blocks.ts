// Shapes: N packed tokens, D width.
import { type Tensor, tidy } from '@reanchor/torch';
import type { Module } from '../nn/module.js';
import type { RotaryAngles } from '../nn/rotary.js';
import type { TokenBatch } from '../nn/spans.js';

type Block = Module<[Tensor, TokenBatch, RotaryAngles]>;

/**
 * The blocks of a network, one after the other, on its embedded tokens, which are given up. Their activations are kept
 * for the backward pass, or with `batch.recompute` computed again in it.
 */
export function runBlocks(
  blocks: readonly Block[],
  embedded_ND: Tensor,
  batch: TokenBatch,
  angles: RotaryAngles,
): Tensor {
  if (batch.recompute) {
    const steps = blocks.map((block) => (x_ND: Tensor) => block.call(x_ND, batch, angles));
    return batch.recompute.run(steps, embedded_ND, [angles.cos, angles.sin]);
  }
  let x_ND = embedded_ND;
  for (const block of blocks) {
    // In a step of generation modules have no scopes of their own, and a block is the first that has.
    const next_ND = tidy(() => block.call(x_ND, batch, angles));
    x_ND.dispose();
    x_ND = next_ND;
  }
  return x_ND;
}
