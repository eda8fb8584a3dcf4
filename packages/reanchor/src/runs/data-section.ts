/** The `data:` section of a recipe. */
import * as z from 'zod';

const path = z.string().min(1);
const paths = z.union([path, z.array(path).min(1)]);
const count = z.int().min(1);

export const dataSchema = z.strictObject({
  train: paths.describe('the JSONL file (also .gz) of preference pairs to train on, or a list of such files'),
  validation: z
    .union([paths, count])
    .optional()
    .describe(
      'the file or list of files of pairs to evaluate on, or the number of rows of data.train held out for that, chosen by the seed',
    ),
  format: z
    .enum(['auto', 'explicit', 'implicit', 'hh'])
    .default('auto')
    .describe(
      'the form of a row: explicit has prompt, chosen and rejected; implicit has whole texts with a common beginning; hh has "\\n\\nHuman:" transcripts; auto looks at the first row',
    ),
  maxLength: z
    .int()
    .min(2)
    .default(1024)
    .describe('the number of tokens of prompt and completion together beyond which a completion is cut'),
  keepIdentical: z
    .boolean()
    .default(false)
    .describe('the choice to train on pairs whose two completions are identical, or become so when cut, as TRL does'),
  shuffle: z
    .boolean()
    .default(true)
    .describe('the choice to take the rows of an epoch in an order drawn from the seed, rather than in file order'),
  limit: count.optional().describe('the number of rows of data.train that are read, from the first one on'),
});
