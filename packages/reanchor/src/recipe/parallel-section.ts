/** The `parallel:` section of a recipe: how processes share a run. Their number is not in it: the launcher says it. */
import * as z from 'zod';

export const parallelSchema = z.strictObject({
  shard: z
    .enum(['none', 'optimizer', 'gradients', 'parameters'])
    .default('none')
    .describe(
      'the part of the training state that is divided among the processes (ZeRO-1, 2, 3); none keeps all of it on each; optimizer divides the optimizer state and the weights that it moves; gradients those and the summed gradients; parameters all three, and each block is gathered while it computes. One process has nothing to divide',
    ),
  timeoutSeconds: z
    .number()
    .gt(0)
    .default(600)
    .describe('the number of seconds that a process waits for the others before the run ends'),
});
