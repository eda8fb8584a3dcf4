// Shapes: N packed tokens, D width.
import { keep, noGrad, type Tensor, tidy } from '@reanchor/torch';

type Block = (x_ND: Tensor) => Tensor;

/**
 * Who has the weights of a network's blocks while they are not used. A pass enters and leaves one block after the
 * other; `next` is the block that comes after it, in whichever direction.
 */
export interface Residency {
  /** To be called before a pass: what lies around the blocks is there from then on. */
  begin(): void;
  enter(block: number, next: number | undefined): void;
  leave(block: number): void;
  /** Takes the gradients that a backward pass has left at a block's weights; it has been left by then. */
  collect(block: number): void;
}

export interface SegmentsOptions {
  /** Keep each block's input alone, and compute the rest again in the backward pass. */
  recompute: boolean;
  residency?: Residency | undefined;
}

/** A block's input with gradient, and what it became. */
interface Segment {
  input_ND: Tensor;
  output_ND: Tensor | undefined;
}

/**
 * Blocks whose backward pass is walked one by one, without hooks into autograd: each has a graph of its own, and after
 * the loss's own backward pass `backward` goes through them in reverse and hands each one's gradient on. So activations
 * can be computed again (Chen et al. 2016, arXiv 1604.06174), weights can be there for one block at a time, and a
 * block's gradients are whole as soon as it has been passed.
 */
export class Segments {
  readonly #pending: (() => void)[] = [];

  constructor(private readonly options: SegmentsOptions) {}

  /**
   * The output of the blocks, one after the other. `held` are the tensors besides the input that the blocks read; like
   * the input they live until `backward`, which gives back what belongs to a block as soon as it has passed that.
   */
  run(blocks: readonly Block[], x_ND: Tensor, held: readonly Tensor[]): Tensor {
    const { residency } = this.options;
    const segments: Segment[] = [];
    let x = x_ND.detach();
    for (const [i, block] of blocks.entries()) {
      residency?.enter(i, i + 1 < blocks.length ? i + 1 : undefined);
      const segment = this.#forward(block, x);
      segments.push(segment.kept);
      x = segment.next_ND;
      residency?.leave(i);
    }
    const output = x.detach();
    output.requiresGrad = true;
    const owned = keep([output, x_ND, ...segments.flatMap(tensorsOf), ...held]);
    this.#pending.push(() => {
      tidy(() => {
        const last = output.grad!;
        output.grad = null;
        const gradient = this.#backward(blocks, segments, last);
        // A frozen embedding asks for none.
        if (x_ND.requiresGrad) x_ND.backward(gradient);
      });
      for (const tensor of owned) tensor.dispose();
    });
    return output;
  }

  /** The rest of the backward pass, after that of the loss. */
  backward(): void {
    for (const rest of this.#pending.splice(0).reverse()) rest();
  }

  #forward(block: Block, x: Tensor): { kept: Segment; next_ND: Tensor } {
    if (this.options.recompute) {
      const next_ND = noGrad(() => tidy(() => block(x)));
      return { kept: { input_ND: x, output_ND: undefined }, next_ND };
    }
    const input_ND = leafOf(x);
    const output_ND = block(input_ND);
    return { kept: { input_ND, output_ND }, next_ND: output_ND.detach() };
  }

  /** The gradient of the first block's input. */
  #backward(blocks: readonly Block[], segments: readonly Segment[], last: Tensor): Tensor {
    const { residency } = this.options;
    let gradient = last;
    for (const [i, block] of [...blocks.entries()].reverse()) {
      residency?.enter(i, i > 0 ? i - 1 : undefined);
      const { input_ND, output_ND } = segments[i]!;
      const next = tidy(() => {
        const leaf = output_ND ? input_ND : leafOf(input_ND);
        (output_ND ?? block(leaf)).backward(gradient);
        return leaf.grad!;
      });
      for (const passed of [input_ND, output_ND, gradient]) passed?.dispose();
      gradient = next;
      // Gradients are flattened without the weights: the peak of a divided run is here.
      residency?.leave(i);
      residency?.collect(i);
    }
    return gradient;
  }
}

function leafOf(x: Tensor): Tensor {
  const leaf = x.detach();
  leaf.requiresGrad = true;
  return leaf;
}

const tensorsOf = ({ input_ND, output_ND }: Segment) => (output_ND ? [input_ND, output_ND] : [input_ND]);
