/** The `checkpoint:` section of a recipe: from where a run can go on. */
import * as z from 'zod';

const count = z.int().min(1);

export const checkpointSchema = z.strictObject({
  every: count
    .optional()
    .describe(
      'the number of steps from one checkpoint to the next; when left out, one is written only when the run is interrupted',
    ),
  keep: count
    .default(2)
    .describe('the number of newest checkpoints that are kept; older ones are deleted when a new one is whole'),
  best: z
    .string()
    .min(1)
    .optional()
    .describe(
      'the metric of evaluations, such as rewards/accuracies, whose best checkpoint is kept besides; the highest value is the best, of a loss the lowest',
    ),
});

/** When checkpoints are written, and which are kept. */
export type CheckpointOptions = z.output<typeof checkpointSchema>;
