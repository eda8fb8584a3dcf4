/** The `reference:` section of a recipe. */
import * as z from 'zod';

const count = z.int().min(1);
const stepsOrShare = z.union([count, z.number().gt(0).lt(1)]);

const common = {
  model: z
    .string()
    .min(1)
    .optional()
    .describe('the model that the reference is at first, named like the key model; the initial policy when left out'),
  storage: z
    .enum(['copy', 'cached'])
    .optional()
    .describe(
      'the form in which the reference is kept; copy is a second model, cached its log-probabilities up to the next update and no second model; copy when left out',
    ),
};
const alpha = {
  alpha: z
    .number()
    .min(0)
    .max(1)
    .describe('the share of the policy in the new reference: reference <- alpha policy + (1 - alpha) reference'),
  alphaWarmup: stepsOrShare
    .optional()
    .describe('the number of steps over which alpha rises from 0; below 1, a share of the run'),
};
const tau = {
  tau: stepsOrShare.describe(
    'the number of optimizer steps from one update of the reference to the next; below 1, a share of the run',
  ),
};
const limits = {
  startAfter: stepsOrShare
    .optional()
    .describe(
      'the number of steps before the reference begins to move, from which tau is counted; below 1, a share of the run',
    ),
  stopAfter: stepsOrShare
    .optional()
    .describe('the last step after which the reference may move; below 1, a share of the run'),
  maxDivergence: z
    .number()
    .gt(0)
    .optional()
    .describe(
      'the divergence from the initial policy above which the reference stays where it is, the mean of |log-ratio| per token in nats on the completions of a step',
    ),
};
const resetOptimizer = {
  resetOptimizer: z
    .boolean()
    .optional()
    .describe('the choice to forget the state of AdamW whenever the reference becomes the policy; false when left out'),
};

const average = {
  average: z
    .enum(['product', 'factors'])
    .optional()
    .describe(
      'the way in which an adapter is averaged; product averages what it adds to each matrix, which is the soft update itself, and keeps it at a rank; factors averages its two thin matrices apart, which differs by their covariance; product when left out, and factors of dora',
    ),
  rank: count
    .optional()
    .describe(
      'the rank at which averaged products are kept, from that of the adapter on; events tell what is cut off; four times that of the adapter when left out',
    ),
};

const updateKey = <const U extends string>(update: U) =>
  z.literal(update).describe('the rule by which the reference follows the policy');

export const referenceSchema = z.discriminatedUnion('update', [
  z.strictObject({ update: updateKey('fixed'), ...common }),
  z.strictObject({ update: updateKey('soft'), ...alpha, ...common, ...limits, ...average }),
  z.strictObject({ update: updateKey('hard'), ...tau, ...common, ...limits, ...resetOptimizer }),
  z.strictObject({ update: updateKey('mixed'), ...alpha, ...tau, ...common, ...limits, ...average }),
  z.strictObject({
    update: updateKey('plateau'),
    metric: z
      .enum(['margin', 'accuracy'])
      .describe(
        'the metric that has to stall before the reference becomes the policy; margin of training steps, accuracy of evaluations',
      ),
    patience: count.describe('the number of values of the metric that are averaged and compared with as many before'),
    minGain: z.number().min(0).describe('the gain of the average below which the metric has stalled'),
    ...common,
    ...limits,
    ...resetOptimizer,
  }),
]);
