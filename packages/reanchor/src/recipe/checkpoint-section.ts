/** The `checkpoint:` section of a recipe: from where a run can go on. */
import * as z from 'zod';

const count = z.int().min(1);

/** A time above 0: a number and a unit. */
const timePattern = /^(?=.*[1-9])(?<number>\d+(\.\d+)?)\s*(?<unit>s|min|h)$/;
const units = { s: 1000, min: 60_000, h: 3_600_000 } as const;
const time = z
  .string()
  .regex(timePattern)
  .meta({ examples: ['90s', '15min', '2h'] });

/** The milliseconds of a time such as 15min. */
export function timeMs(text: string): number {
  const { number, unit } = timePattern.exec(text)!.groups as { number: string; unit: keyof typeof units };
  return Number(number) * units[unit];
}

export const checkpointSchema = z.strictObject({
  every: z
    .union([count, time, z.literal('never')])
    .default('15min')
    .describe(
      'the number of steps, or the time, from one checkpoint to the next; one by time follows the first step that ends so long after the last one, or after twenty times what that took to write, and is left out with a warning where the disk has no room; never writes one only when the run is interrupted',
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
  final: z
    .enum(['last', 'best'])
    .optional()
    .describe(
      'the choice of the weights that the run leaves in final/; last are those after its last step, best those of its best checkpoint, or the last ones where they are better; last when left out',
    ),
});

/** When checkpoints are written, and which are kept. */
export type CheckpointOptions = z.output<typeof checkpointSchema>;
