/** The `log:` section of a recipe: where metrics go besides events.jsonl. */
import * as z from 'zod';

export const logSchema = z.strictObject({
  tensorboard: z
    .boolean()
    .default(false)
    .describe('the choice to write an event file of TensorBoard into the run folder'),
  mlflow: z
    .string()
    .regex(/^(https?:\/\/[^@\s?#]+|\$\{\w+\})$/)
    .optional()
    .describe(
      'the http or https address of an MLflow tracking server, without user name, password or query; who writes is said as to its own client, by MLFLOW_TRACKING_TOKEN or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD in the environment, to the server alone that MLFLOW_TRACKING_URI names',
    ),
  experiment: z
    .string()
    .min(1)
    .optional()
    .describe('the name of the MLflow experiment, which is made if needed; reanchor when left out'),
});

/** Where metrics go besides events.jsonl. */
export type LogOptions = z.output<typeof logSchema>;
