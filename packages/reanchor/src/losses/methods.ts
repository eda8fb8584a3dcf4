import { type DpoOptions, dpo, dpoAtReference, type PairLogprobs, type PairLoss } from './dpo.js';

/** A preference loss on pairs, its options bound. */
export interface PairMethod {
  loss(policy: PairLogprobs, reference: PairLogprobs): PairLoss;
  /** What the loss of every pair is while policy and reference are equal. */
  atReference: number;
}

/** The methods by the name a recipe gives them. */
export const pairMethods = {
  dpo: (options: DpoOptions): PairMethod => ({
    loss: (policy, reference) => dpo(policy, reference, options),
    atReference: dpoAtReference,
  }),
};
