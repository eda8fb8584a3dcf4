// Shapes: P pairs.
import { type Tensor, tidy } from '@reanchor/torch';
import { aot, aotUnpaired } from './aot.js';
import { apoDown } from './apo-down.js';
import { apoZero } from './apo-zero.js';
import { bcoPair } from './bco-pair.js';
import { chosenNll } from './chosen-nll.js';
import { discopop } from './discopop.js';
import { dpo } from './dpo.js';
import { exoPair } from './exo-pair.js';
import { type Divergence, underDivergence } from './f-divergence.js';
import { hinge } from './hinge.js';
import { ipo } from './ipo.js';
import { ktoPair } from './kto-pair.js';
import { ncaPair } from './nca-pair.js';
import { clipReferenceMargin, implicitRewards, type PairBatch, type Sides } from './pair-batch.js';
import { robust } from './robust.js';
import { sigmoidNorm } from './sigmoid-norm.js';
import { sppoHard } from './sppo-hard.js';

/** The options of all pair losses; each uses some of them, see {@link lossOptions}. */
interface PairLossParameters {
  /** Strength of the pull towards the reference, > 0. */
  beta: number;
  /** Assumed share of pairs whose label is the wrong way round, in [0, 0.5). */
  labelSmoothing: number;
  lengthNormalize: boolean;
  discopopTau: number;
}

type LossParameters = PairLossParameters & { meanChosenTokens: number };

interface PairLossEntry {
  loss: (batch: PairBatch, options: LossParameters) => Tensor;
  /** The options with an effect on it. */
  uses: readonly Option[];
  /** The loss of every pair where policy and reference are equal; left out where it depends on the data. */
  atReference?: (options: PairLossParameters) => number;
  /** Whether the loss of a pair depends on the log-probabilities of others. */
  couplesPairs?: true;
}

const ln2 = () => Math.LN2;
/** Of all losses against a reference. */
const basicOptions = ['beta', 'nllWeight'] as const;
/** Of losses that see the log-ratios through their margin alone. */
const marginOptions = [...basicOptions, 'clipReferenceMargin', 'divergence'] as const;

/** The losses on pairs by TRL's names, and `kto_pair`. */
export const pairLosses = {
  sigmoid: { loss: dpo, uses: [...marginOptions, 'labelSmoothing'], atReference: ln2 },
  hinge: { loss: hinge, uses: marginOptions, atReference: () => 1 },
  ipo: { loss: ipo, uses: [...marginOptions, 'lengthNormalize'], atReference: ({ beta }) => 1 / (4 * beta * beta) },
  exo_pair: {
    loss: exoPair,
    uses: [...marginOptions, 'labelSmoothing'],
    atReference: ({ labelSmoothing: eps }) => -Math.LN2 - (Math.log(1 - eps) + Math.log(eps)) / 2,
  },
  nca_pair: { loss: ncaPair, uses: basicOptions, atReference: () => 2 * Math.LN2 },
  robust: { loss: robust, uses: [...marginOptions, 'labelSmoothing'], atReference: ln2 },
  bco_pair: { loss: bcoPair, uses: basicOptions, atReference: () => 2 * Math.LN2 },
  sppo_hard: { loss: sppoHard, uses: basicOptions, atReference: ({ beta }) => 1 / (2 * beta * beta) },
  aot: {
    loss: aot,
    uses: [...basicOptions, 'clipReferenceMargin', 'labelSmoothing'],
    atReference: ln2,
    couplesPairs: true,
  },
  aot_unpaired: { loss: aotUnpaired, uses: [...basicOptions, 'labelSmoothing'], atReference: ln2, couplesPairs: true },
  apo_zero: { loss: apoZero, uses: basicOptions, atReference: () => 1 },
  apo_down: { loss: apoDown, uses: basicOptions, atReference: () => 1 },
  discopop: { loss: discopop, uses: [...marginOptions, 'discopopTau'], atReference: () => (Math.LN2 + 1) / 2 },
  sigmoid_norm: { loss: sigmoidNorm, uses: [...basicOptions, 'divergence'], atReference: ln2 },
  sft: { loss: chosenNll, uses: ['nllWeight'] },
  kto_pair: { loss: ktoPair, uses: basicOptions, atReference: () => 0.5, couplesPairs: true },
} satisfies Record<string, PairLossEntry>;

/** The name of a loss on pairs, as `loss.type` of a recipe has it. */
export type PairLossName = keyof typeof pairLosses;

const entries: Readonly<Record<PairLossName, PairLossEntry>> = pairLosses;
const names = Object.keys(pairLosses) as PairLossName[];

/** The options with an effect on each loss. */
export const lossOptions = Object.fromEntries(names.map((name) => [name, entries[name].uses])) as Readonly<
  Record<PairLossName, readonly Option[]>
>;

const using = (option: Option) => names.filter((name) => lossOptions[name].includes(option));

/** The losses that go with clipReferenceMargin: they see its margin alone. Of ipo the form without lengthNormalize. */
export const clippableLosses: readonly PairLossName[] = using('clipReferenceMargin');

/** The losses that go with a divergence other than reverse_kl: they see differences of scores alone. */
export const divergenceLosses: readonly PairLossName[] = using('divergence');

type Option = Exclude<keyof PairLossOptions, 'types'>;

/** A loss on pairs: what is added up, and its parameters. */
export interface PairLossOptions extends PairLossParameters {
  /** The losses that are added up, each with its weight. */
  types: readonly { name: PairLossName; weight: number }[];
  /** Clip the reference's margin at 0 (HyPO). */
  clipReferenceMargin: boolean;
  /** The weight of the negative log-likelihood of chosen completions, per token. */
  nllWeight: number;
  /** Default: the reverse KL. */
  divergence?: Divergence | undefined;
}

/** A preference loss on pairs, its options bound. */
export interface PairMethod {
  beta: number;
  /** The loss of every pair, [P]. */
  loss(batch: PairBatch, context: { meanChosenTokens: number }): Tensor;
  /** Implicit rewards, without gradient. */
  rewards(batch: PairBatch): Sides;
  /** What the loss of every pair is while policy and reference are equal; undefined where it depends on the data. */
  atReference: number | undefined;
  /** Whether the loss of a pair depends on the log-probabilities of others. */
  couplesPairs: boolean;
}

/**
 * The weighted sum of pair losses (as MPO mixes them, arXiv 2411.10442), with NLL on chosen completions added. Errors:
 * RangeError for options that are out of range, that the losses named cannot have, or that have no effect on them.
 */
export function pairMethod(options: PairLossOptions): PairMethod {
  const { types, beta, nllWeight, clipReferenceMargin: isClipped, divergence = { type: 'reverse_kl' } } = options;
  requireNumbers(options);
  requireCombination(options, divergence);
  const terms = types.map(({ name, weight }) => ({ ...entries[name], name, weight }));
  if (nllWeight > 0) terms.push({ ...entries.sft, name: 'sft', weight: nllWeight });
  const known = terms.every(({ atReference }) => atReference);
  return {
    beta,
    loss: (given, { meanChosenTokens }) =>
      tidy(() => {
        const reference = isClipped ? clipReferenceMargin(given.reference) : given.reference;
        const batch = underDivergence({ ...given, reference }, divergence);
        // The likelihood of sft is the policy's own, not a divergence's score.
        const weighted = terms.map(({ loss, weight, name }) =>
          loss(name === 'sft' ? given : batch, { ...options, meanChosenTokens }).mul(weight),
        );
        return weighted.reduce((sum_P, loss_P) => sum_P.add(loss_P));
      }),
    rewards: (batch) => implicitRewards(batch, beta),
    // A clipped reference is another one than the policy, though the two models are equal.
    atReference:
      known && !isClipped
        ? terms.reduce((sum, { atReference, weight }) => sum + weight * atReference!(options), 0)
        : undefined,
    couplesPairs: terms.some(({ couplesPairs }) => couplesPairs),
  };
}

function requireNumbers({ types, beta, labelSmoothing, discopopTau, nllWeight }: PairLossOptions): void {
  const isPositive = (value: number) => value > 0 && value < Infinity;
  demand(types.length > 0, 'types names no loss; at least one is needed');
  for (const { name, weight } of types) {
    demand(Object.hasOwn(entries, name), `there is no loss ${name}; there are ${names.join(', ')}`);
    demand(weight >= 0 && weight < Infinity, `the weight of ${name} is ${weight}; allowed: numbers from 0`);
    demand(types.filter((other) => other.name === name).length === 1, `${name} is named twice; add up its weights`);
  }
  demand(
    types.some(({ weight }) => weight > 0),
    'the weights of all losses are 0; one has to be larger',
  );
  demand(isPositive(beta), `beta is ${beta}; allowed: numbers above 0`);
  demand(labelSmoothing >= 0 && labelSmoothing < 0.5, `labelSmoothing is ${labelSmoothing}; allowed: 0 to below 0.5`);
  demand(isPositive(discopopTau), `discopopTau is ${discopopTau}; allowed: numbers above 0`);
  demand(nllWeight >= 0 && nllWeight < Infinity, `nllWeight is ${nllWeight}; allowed: numbers from 0`);
}

function requireCombination(options: PairLossOptions, divergence: Divergence): void {
  const { types, labelSmoothing, lengthNormalize, clipReferenceMargin: isClipped } = options;
  const given = types.map(({ name }) => name);
  // Imitation sees neither reference nor margin, so that it goes beside any loss that does.
  const compared = given.filter((name) => name !== 'sft');
  const requireAll = (what: string, allowed: readonly PairLossName[]) =>
    demand(
      compared.length > 0 && compared.every((name) => allowed.includes(name)),
      `${what} is for ${allowed.join(', ')}, with or without sft beside, not for ${given.join(', ')}`,
    );
  demand(
    labelSmoothing > 0 || !given.includes('exo_pair'),
    'exo_pair needs a labelSmoothing above 0, since it takes its logarithm; 1e-3 is advised',
  );
  demand(
    labelSmoothing === 0 || given.some((name) => lossOptions[name].includes('labelSmoothing')),
    `labelSmoothing has no effect on ${given.join(', ')}; it has on ${using('labelSmoothing').join(', ')}`,
  );
  if (isClipped) {
    requireAll('clipReferenceMargin', clippableLosses);
    demand(
      !(lengthNormalize && given.includes('ipo')),
      'clipReferenceMargin goes with ipo if lengthNormalize is false: a margin per token is not clipped',
    );
  }
  if (divergence.type === 'reverse_kl') return;
  requireAll(`the divergence ${divergence.type}`, divergenceLosses);
  demand(!isClipped, `clipReferenceMargin goes with reverse_kl, not with ${divergence.type}`);
  if (divergence.type !== 'alpha_divergence') return;
  const { coefficient } = divergence;
  demand(Number.isFinite(coefficient), `the coefficient of alpha_divergence is ${coefficient}; allowed: numbers`);
}

function demand(holds: boolean, message: string): void {
  if (!holds) throw new RangeError(message);
}
