import type { ModelShape } from '../models/shape.js';
import { headRows } from './activations.js';
import { attentionPairs, type MicroBatchLayout, type PackLayout } from './layout.js';

/** The floating-point operations of a run by what they are for; a multiplication and its addition are two. */
export interface Flops {
  forward: number;
  backward: number;
  /** Blocks that are computed again for the backward pass (activationCheckpointing). */
  recomputation: number;
  /** Forward passes of the reference, or of the policy for a cached one. */
  reference: number;
  /** Forward passes of the policy besides: KTO's partners, losses that couple rows, evaluations. */
  other: number;
  /** Answers at evaluations (`evaluate.generate`), all as long as they may be: writing and comparing them. */
  answers: number;
}

/** How FLOPs are counted, for people. */
export const flopsFormula =
  'forward = 2 N P + 4 L H C A + 2 M V D; backward = twice the matrices, 2.5 times attention, twice the head, 3 times for ' +
  'scored tokens whose logits are not kept; of matrices that are frozen once, and once less of their head. N packed ' +
  'tokens (a prompt once), P parameters of the blocks’ matrices, L layers, H C channels of all heads, A query-key pairs ' +
  '(masked ones counted), M scored tokens, V vocabulary, D width';

/** What is computed with an adapter. */
export interface AdapterWork {
  /** Numbers of factors that a token is multiplied with: the policy's, and those of a copied reference. */
  factors: number;
  referenceFactors: number;
  gradient: GradientWork;
}

/** Where a gradient goes. */
export interface GradientWork {
  /** Numbers of matrices that it is multiplied with, and of those that have one. */
  inputs: number;
  weights: number;
  /** Blocks that it goes through. */
  layers: number;
  /** Whether the head has one. */
  head: boolean;
}

function parts(shape: ModelShape, pack: PackLayout, factors: number) {
  const { heads, headChannels, width } = shape.block;
  return {
    matrices: 2 * pack.tokens * (shape.matrixParameters + factors),
    // Queries with keys, and their weights with values.
    attention: 4 * shape.layers * heads * headChannels * attentionPairs(pack),
    head: 2 * pack.scored * shape.vocabulary * width,
  };
}

/** A forward pass: packed tokens through the blocks and `factors` of an adapter, the scored ones through the head. */
export function forwardFlops(shape: ModelShape, pack: PackLayout, factors = 0): number {
  const { matrices, attention, head } = parts(shape, pack, factors);
  return matrices + attention + head;
}

/**
 * A backward pass: two products for each one of the forward pass, one for a matrix that is frozen; attention makes its
 * scores again (five products for two), and so does the head with the logits that it has not kept (one more).
 */
export function backwardFlops(shape: ModelShape, pack: PackLayout, gradient?: GradientWork): number {
  const { matrices, attention, head } = parts(shape, pack, 0);
  const { kept } = headRows(pack.scored, shape.vocabulary, 4);
  const madeAgain = pack.scored === 0 ? 0 : 1 - kept / pack.scored;
  if (gradient === undefined) return 2 * matrices + 2.5 * attention + (2 + madeAgain) * head;
  const { inputs, weights, layers } = gradient;
  const products = 2 * pack.tokens * (inputs + weights);
  return products + (2.5 * attention * layers) / shape.layers + (1 + Number(gradient.head) + madeAgain) * head;
}

/** The blocks alone, as activation checkpointing computes them again. */
function blockFlops(shape: ModelShape, pack: PackLayout, factors: number): number {
  const { matrices, attention } = parts(shape, pack, factors);
  return matrices + attention;
}

/** What {@link runFlops} has to know of a run. */
export interface RunPasses {
  /** The steps, or one that stands for all. */
  steps: readonly MicroBatchLayout[][];
  /** How many steps each of them stands for. */
  repeats: number;
  /** The steps after which the reference moves. */
  updates: ReadonlySet<number>;
  stepsPerEpoch: number;
  /** The passes of one evaluation, and how many evaluations there are. */
  validation: readonly PackLayout[];
  evaluations: number;
  /** The answers of one evaluation, with their prompts, and how many forward passes over them there are. */
  answers?: { packs: readonly PackLayout[]; passes: number } | undefined;
  storage: 'copy' | 'cached' | 'none';
  capsDivergence: boolean;
  couplesRows: boolean;
  activationCheckpointing: boolean;
  /** Where an adapter is trained. */
  adapter?: AdapterWork | undefined;
}

/** The FLOPs of a run. */
export function runFlops(shape: ModelShape, run: RunPasses): Flops {
  const total: Flops = { forward: 0, backward: 0, recomputation: 0, reference: 0, other: 0, answers: 0 };
  const { factors = 0, referenceFactors = 0, gradient } = run.adapter ?? {};
  const ofReference = run.storage === 'copy' ? referenceFactors : factors;
  let stepsSinceUpdate = 0;
  for (const [i, step] of run.steps.entries()) {
    // A cached reference scores each row once before the next update: in the first epoch since the last one.
    const isSwept = run.storage === 'cached' && stepsSinceUpdate < run.stepsPerEpoch;
    stepsSinceUpdate = run.updates.has(i + 1) ? 0 : stepsSinceUpdate + 1;
    for (const { policy, reference, partners } of step) {
      const forward = forwardFlops(shape, policy, factors);
      total.forward += forward;
      total.backward += backwardFlops(shape, policy, gradient);
      if (run.activationCheckpointing) total.recomputation += blockFlops(shape, policy, factors);
      if (run.storage === 'copy' || isSwept) total.reference += forwardFlops(shape, reference, ofReference);
      // A cap on the divergence needs the initial policy's log-probabilities as well, once a row.
      if (run.capsDivergence && i < run.stepsPerEpoch) total.reference += forwardFlops(shape, reference, factors);
      if (partners) total.other += forwardFlops(shape, partners, factors);
      if (run.couplesRows && step.length > 1) total.other += forward;
    }
  }
  for (const name of Object.keys(total) as (keyof Flops)[]) total[name] *= run.repeats;
  const forward = (packs: readonly PackLayout[]) =>
    packs.reduce((sum, pack) => sum + forwardFlops(shape, pack, factors), 0);
  total.other += run.evaluations * forward(run.validation);
  if (run.answers) total.answers = run.evaluations * run.answers.passes * forward(run.answers.packs);
  return total;
}
