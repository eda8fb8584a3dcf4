// Shapes: N packed tokens, D width.
import { keep, noGrad, type Tensor, tidy } from '@reanchor/torch';

type Block = (x_ND: Tensor) => Tensor;

/**
 * Activation checkpointing (Chen et al. 2016, arXiv 1604.06174) without hooks into autograd: blocks run without
 * recording and only the input of each is kept; after the loss's own backward pass, `backward` walks them in reverse,
 * computes each once more with recording, and hands its input's gradient on.
 */
export class Recompute {
  readonly #pending: (() => void)[] = [];

  /**
   * The output of the blocks, one after the other. `held` are the tensors besides the input that the blocks read; like
   * the input they live until `backward`.
   */
  run(blocks: readonly Block[], x_ND: Tensor, held: readonly Tensor[]): Tensor {
    const inputs: Tensor[] = [];
    let x = x_ND.detach();
    for (const block of blocks) {
      inputs.push(x);
      const input = x;
      x = noGrad(() => tidy(() => block(input)));
    }
    const output = x.detach();
    output.requiresGrad = true;
    const owned = keep([output, x_ND, ...inputs, ...held]);
    this.#pending.push(() => {
      tidy(() => {
        let gradient = output.grad!;
        for (const [i, block] of [...blocks.entries()].reverse()) {
          gradient = tidy(() => {
            const leaf = inputs[i]!.detach();
            leaf.requiresGrad = true;
            block(leaf).backward(gradient);
            return leaf.grad!;
          });
        }
        x_ND.backward(gradient);
      });
      for (const tensor of owned) tensor.dispose();
    });
    return output;
  }

  /** The rest of the backward pass, after that of the loss. */
  backward(): void {
    for (const rest of this.#pending.splice(0).reverse()) rest();
  }
}
