/** The `parallel:` section of a recipe: how processes share a run. Their number is not in it: the launcher says it. */
import * as z from 'zod';

export const parallelSchema = z.strictObject({
  shard: z
    .enum(['none', 'optimizer', 'gradients', 'parameters'])
    .default('none')
    .describe(
      'the part of the training state that is divided among the processes (ZeRO-1, 2, 3); none keeps all of it on each; optimizer divides the optimizer state and the weights that it moves; gradients those and the summed gradients; parameters all three, and each block is gathered while it computes. One process has nothing to divide',
    ),
  replicas: z
    .int()
    .positive()
    .default(1)
    .describe(
      'the number of groups of processes that each have a whole model between them (HSDP): the model is divided inside a group, and only summed gradients go between groups. On several machines their number keeps what is gathered within each. The processes are divided by it',
    ),
  reduce: z
    .enum(['float32', 'bfloat16'])
    .optional()
    .describe(
      'the dtype in which gradients travel between processes; bfloat16 sends half as much and rounds them. Left out, it is that of the weights that are moved',
    ),
  offload: z
    .enum(['none', 'optimizer'])
    .default('none')
    .describe(
      'the part of a run on a GPU that is kept in main memory: optimizer keeps the optimizer state, the weights that it moves, the summed gradients, and the weights that a reference moves, and steps on the CPU. It goes with any parallel.shard but none, also in one process',
    ),
  timeoutSeconds: z
    .number()
    .gt(0)
    .default(600)
    .describe('the number of seconds that a process waits for the others before the run ends'),
});
