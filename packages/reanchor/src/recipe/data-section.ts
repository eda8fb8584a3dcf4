/** The `data:` section of a recipe. */
import * as z from 'zod';
import { documentation } from '../version.js';

const path = z.string().min(1);
const paths = z.union([path, z.array(path).min(1)]);
const count = z.int().min(1);
const weighted = z.strictObject({ source: path, weight: z.number().gt(0) });

export const dataSchema = z.strictObject({
  train: z
    .union([path, z.array(z.union([path, weighted])).min(1)])
    .describe(
      'the rows to train on; a file (JSONL, JSON, CSV, Parquet), a folder, a data set on the Hub by its name (owner/name or owner/name@revision), or a list of these; of a folder or data set the split train, or the one named behind it (name:SPLIT, name:CONFIGURATION/SPLIT); in the list { source, weight } is a source of which an epoch takes weight times its rows, 0.5 half of them, 2 all of them twice',
    ),
  validation: z
    .union([paths, count])
    .optional()
    .describe(
      'the rows to evaluate on, named as in data.train (of a folder or data set its split validation, else test), or the number of rows of data.train held out for that, chosen by the seed',
    ),
  format: z
    .enum([
      'auto',
      'explicit',
      'implicit',
      'hh',
      'sharegpt',
      'rmb',
      'tldr',
      'webgpt',
      'unpaired',
      'kto-mix',
      'messages',
      'prompt-completion',
      'text',
      'alpaca',
    ])
    .default('auto')
    .describe(
      `the form of a row: explicit has prompt, chosen and rejected; implicit has whole texts with a common beginning; hh has "\\n\\nHuman:" transcripts; ${documentation('guide/data.md')} lists the others; auto looks at the first row of each file`,
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
  truncate: z
    .enum(['keepStart', 'keepEnd'])
    .default('keepStart')
    .describe(
      'the part that a row with more than maxLength tokens keeps; keepStart cuts its completions and skips prompts that are too long, keepEnd cuts the beginning of its prompt',
    ),
  chatTemplate: z
    .string()
    .min(1)
    .optional()
    .describe(
      "the chat template that makes text of every row, plain prompts and answers included; model (the model's own), chatml, llama-3, zephyr, alpaca, hh, a .jinja file, or Jinja text; when left out, conversations take the model's own and plain text stays as it is",
    ),
  date: z.iso
    .date()
    .optional()
    .describe(
      'the day that chat templates tell which write it (strftime_now), such as 2026-11-28; the one on which the run began when left out',
    ),
  loss: z
    .enum(['completion', 'assistant', 'full'])
    .optional()
    .describe(
      'the tokens that are scored; completion all that follows the prompt (of sft, the last answer), assistant the answers alone (of sft, every answer of a conversation), full, of sft, the whole text; completion when left out',
    ),
  shuffle: z
    .boolean()
    .default(true)
    .describe('the choice to take the rows of an epoch in an order drawn from the seed, rather than in file order'),
  checkRows: z
    .boolean()
    .default(true)
    .describe(
      'the choice to stop when a published data set has another number of rows than was published; false uses a part of one, data.limit does not ask either',
    ),
  limit: count.optional().describe('the number of rows of data.train that are read, from the first one on'),
});
