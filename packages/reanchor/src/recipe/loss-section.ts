/** The `method` and `loss:` keys of a recipe. */
import * as z from 'zod';

export const methods = ['sft', 'dpo', 'ipo', 'kto', 'kto-pair'] as const;
export type Method = (typeof methods)[number];

/** The losses of `method: dpo`, by TRL's names. */
export const dpoTypes = [
  'sigmoid',
  'hinge',
  'ipo',
  'exo_pair',
  'nca_pair',
  'robust',
  'bco_pair',
  'sppo_hard',
  'aot',
  'aot_unpaired',
  'apo_zero',
  'apo_down',
  'discopop',
  'sigmoid_norm',
  'sft',
] as const;
const dpoType = z.enum(dpoTypes);

/** Those that take another divergence than the reverse KL: they see differences of log-ratios alone. */
export const divergenceTypes: readonly (typeof dpoTypes)[number][] = [
  'sigmoid',
  'hinge',
  'ipo',
  'exo_pair',
  'robust',
  'discopop',
  'sigmoid_norm',
];
const weight = z.number().min(0);

export const methodSchema = z
  .enum(methods)
  .describe(
    'the method of training, which sets the loss; TR-DPO is dpo with a reference that moves (reference.update), sft imitates texts',
  );

export const lossSchema = z.strictObject({
  beta: z
    .number()
    .gt(0)
    .default(0.1)
    .describe('the strength of the pull towards the reference; a reward is beta times a log-ratio in nats'),
  labelSmoothing: z
    .number()
    .min(0)
    .lt(0.5)
    .default(0)
    .describe('the assumed probability that the label of a pair is the wrong way round (conservative DPO)'),
  type: z
    .union([dpoType, z.array(dpoType).min(1)])
    .optional()
    .describe('the loss of the DPO family, by its name in TRL, or a list of them to be mixed; sigmoid when left out'),
  weights: z.array(weight).optional().describe('the list of weights of the losses in loss.type; 1 each when left out'),
  lengthNormalize: z
    .boolean()
    .optional()
    .describe(
      "the choice to divide each log-ratio of IPO by the tokens of its completion, as TRL does; true when left out, false is the sum of the paper's lab",
    ),
  discopopTau: z.number().gt(0).optional().describe('the temperature of the discopop loss; 0.05 when left out'),
  fDivergenceType: z
    .enum(['reverse_kl', 'forward_kl', 'js_divergence', 'alpha_divergence'])
    .optional()
    .describe(
      "the divergence that keeps the policy near the reference (f-DPO), by its name in TRL; reverse_kl, DPO's own, when left out",
    ),
  fAlphaDivergenceCoef: z
    .number()
    .optional()
    .describe('the order alpha of fDivergenceType alpha_divergence; 1 is the reverse KL, 0.5 when left out'),
  clipReferenceMargin: z
    .boolean()
    .optional()
    .describe(
      'the choice to count a reference that prefers the rejected completion as indifferent (HyPO); false when left out',
    ),
  nllWeight: weight
    .optional()
    .describe(
      'the weight of the mean negative log-likelihood per token of chosen completions, added to the loss; 0 when left out',
    ),
  desirableWeight: weight.optional().describe('the weight of desirable completions in KTO; 1 when left out'),
  undesirableWeight: weight.optional().describe('the weight of undesirable completions in KTO; 1 when left out'),
  partners: z
    .enum(['shuffled', 'previous'])
    .optional()
    .describe(
      "the row whose completion estimates KTO's KL; shuffled draws another one of the step, previous rotates each micro-batch as TRL does; shuffled when left out",
    ),
  over: z
    .enum(['step', 'microBatch'])
    .optional()
    .describe(
      'the rows over which means and sorts inside a loss are taken; step makes results independent of micro-batches, microBatch is what TRL does; step when left out',
    ),
});

const pairwise: readonly Method[] = ['dpo', 'ipo', 'kto-pair'];

/** The methods with which a key of `loss:` has an effect. */
export const lossKeyMethods: Record<keyof z.output<typeof lossSchema>, readonly Method[]> = {
  beta: ['dpo', 'ipo', 'kto', 'kto-pair'],
  labelSmoothing: ['dpo'],
  type: ['dpo'],
  weights: ['dpo'],
  lengthNormalize: ['dpo', 'ipo'],
  discopopTau: ['dpo'],
  fDivergenceType: ['dpo', 'ipo'],
  fAlphaDivergenceCoef: ['dpo', 'ipo'],
  clipReferenceMargin: ['dpo', 'ipo'],
  nllWeight: pairwise,
  desirableWeight: ['kto'],
  undesirableWeight: ['kto'],
  partners: ['kto'],
  over: [...pairwise, 'kto'],
};
