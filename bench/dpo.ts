/** The DPO step that several benchmarks measure: TRL's settings, on pairs of made-up tokens. */
import {
  AdamW,
  FusedAdamW,
  FusedWeights,
  learningRates,
  type ModelWeights,
  pairMethod,
  pairObjective,
  type ReferencePolicy,
  type TokenizedPair,
  Trainer,
} from 'reanchor';

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

/** A trainer of `dpo` at a constant rate, by one pass of a kernel where its weights are such. */
export function dpoTrainer(weights: ModelWeights, reference: ReferencePolicy, activationCheckpointing = false) {
  const adam = { betas: [0.9, 0.95], eps: 1e-8, weightDecay: 0 } as const;
  const parameters = weights.trained.values();
  return new Trainer({
    plan: { objective: dpo, maxGradNorm: 2, activationCheckpointing },
    weights,
    reference,
    optimizer:
      weights instanceof FusedWeights ? new FusedAdamW(parameters, adam, weights) : new AdamW(parameters, adam),
    schedule: learningRates({ type: 'constant', warmupSteps: 0 }, 1e-5, 1),
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
