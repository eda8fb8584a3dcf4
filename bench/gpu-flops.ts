/** What a step on a GPU is measured against: the model's FLOPs by the strict count, and what a card is said to make. */
import type { Lengths } from './dpo.js';

/** Of a network, what its FLOPs follow from. */
export interface StrictShape {
  /** Parameters of the blocks' matrices, those with which every token is multiplied. */
  matrixParameters: number;
  vocabulary: number;
  layers: number;
  block: { width: number; heads: number; headChannels: number };
}

/**
 * The FLOPs of a DPO step by the count of Chowdhery et al. 2022 (PaLM, arXiv 2204.02311, appendix B), 6 N + 12 L H Q T
 * a token of a policy that is trained, and a third of that for the reference, which only goes forward. N has the head,
 * at scored tokens alone; T is the length of the token's own row, prompt and completion, without a discount for what a
 * causal mask hides. Nothing that is computed again counts, and a prompt counts once for its two completions.
 */
export function strictStepFlops(shape: StrictShape, pairs: readonly Lengths[]): number {
  const { width, heads, headChannels } = shape.block;
  const scores = 2 * shape.layers * heads * headChannels; // multiply-adds of a query with one key, and of its value
  const forward = pairs.reduce((sum, [prompt, chosen, rejected]) => {
    const tokens = prompt + chosen + rejected;
    // A prompt is of two rows; the longer one is counted.
    const seen =
      prompt * (prompt + Math.max(chosen, rejected)) + chosen * (prompt + chosen) + rejected * (prompt + rejected);
    return sum + 2 * (shape.matrixParameters * tokens + width * shape.vocabulary * (chosen + rejected) + scores * seen);
  }, 0);
  return 4 * forward;
}

/** Dense bfloat16 TFLOP/s with float32 sums by data sheets, by a part of the card's name; the first match counts. */
const peaks: readonly (readonly [card: RegExp, teraflops: number])[] = [
  [/B200/, 2250],
  [/H100 PCIe/, 756],
  [/H100 NVL/, 835],
  [/H100|H200|H800|GH200/, 989],
  [/A100|A800/, 312],
  [/L40S/, 362],
  [/L4\b/, 121],
  [/RTX 6000 Ada/, 364],
  [/RTX A6000/, 155],
  [/A40\b/, 150],
  [/A10\b|A10G/, 125],
  [/RTX 4090/, 165],
  [/RTX 3090/, 71],
];

/** FLOPs a second of a card by its data sheet; undefined for one that is not in the table. */
export function nominalFlops(card: string): number | undefined {
  const found = peaks.find(([pattern]) => pattern.test(card));
  return found && found[1] * 1e12;
}
