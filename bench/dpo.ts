/** The DPO step that several benchmarks measure: TRL's settings, on pairs of made-up tokens. */
import { type CausalLM, pairMethod, pairObjective, type ReferencePolicy, type TokenizedPair, Trainer } from 'reanchor';

export const dpo = pairObjective(
  pairMethod({
    types: [{ name: 'sigmoid', weight: 1 }],
    beta: 0.1,
    labelSmoothing: 0,
    lengthNormalize: true,
    discopopTau: 0.05,
    clipReferenceMargin: false,
    nllWeight: 0,
  }),
);

/** A trainer of `dpo` at a constant rate. */
export function dpoTrainer(
  policy: CausalLM,
  reference: ReferencePolicy,
  options: { totalSteps: number; activationCheckpointing?: boolean },
) {
  return new Trainer({
    policy,
    reference,
    objective: dpo,
    optimizer: { lr: 1e-5, betas: [0.9, 0.95], eps: 1e-8, weightDecay: 0 },
    schedule: { type: 'constant', warmupSteps: 0 },
    maxGradNorm: 2,
    ...options,
  });
}

export type Lengths = readonly [prompt: number, chosen: number, rejected: number];

/** A pair for each triple of lengths, of tokens that differ from pair to pair. */
export function madeUpPairs(lengths: readonly Lengths[], vocabulary: number): TokenizedPair[] {
  let state = 1;
  const ids = (length: number) =>
    Int32Array.from({ length }, () => {
      state = (state * 48271) % 2147483647;
      return state % vocabulary;
    });
  return lengths.map(([prompt, chosen, rejected], index) => ({
    index,
    file: 'made up',
    line: index + 1,
    prompt: ids(prompt),
    chosen: ids(chosen),
    rejected: ids(rejected),
    boundaryMismatch: false,
  }));
}
