/** The `stop:` section of a recipe: when a run ends before its last step. */
import * as z from 'zod';

export const stopSchema = z.strictObject({
  metric: z
    .string()
    .min(1)
    .describe(
      'the metric of evaluations that has to get better, such as rewards/accuracies; higher is better, of a loss lower',
    ),
  patience: z
    .int()
    .min(1)
    .default(1)
    .describe('the number of evaluations in a row without a gain after which the run ends'),
  minGain: z
    .number()
    .min(0)
    .default(0)
    .describe('the least by which an evaluation has to be better than the best before it to be a gain'),
});

/** When a run ends before its last step. */
export type StopOptions = z.output<typeof stopSchema>;
