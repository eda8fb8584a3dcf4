/** The `adapter:` section of a recipe, and `quantize:`, the form of the base under it. */
import * as z from 'zod';

const count = z.int().min(1);

/** Keys that an adapter which is gone on with has already. */
export const adapterFormKeys = ['type', 'r', 'alpha', 'targets', 'rslora', 'init', 'modulesToSave'] as const;

export const adapterSchema = z.strictObject({
  type: z
    .enum(['lora', 'dora'])
    .optional()
    .describe(
      'the kind of adapter; lora adds a product of two thin matrices to each linear layer, dora trains a length of each output besides; lora when left out',
    ),
  r: count.optional().describe('the rank of those products; 16 when left out'),
  alpha: z
    .number()
    .gt(0)
    .optional()
    .describe('the strength of the adapter, which is scaled by alpha / r; 2 r when left out'),
  targets: z
    .union([z.string().min(1), z.array(z.string().min(1)).min(1)])
    .optional()
    .meta({
      description:
        'the linear layers that have one; all-linear is every one of the blocks, a list names ends of their paths, /.../ is a regular expression of whole paths; all-linear when left out',
      examples: ['all-linear', '[q_proj, v_proj]', '/.*mlp.*/'],
    }),
  rslora: z
    .boolean()
    .optional()
    .describe('the choice of scaling by alpha / sqrt(r) in place of alpha / r; false when left out'),
  dropout: z
    .number()
    .min(0)
    .lt(1)
    .optional()
    .describe(
      'the probability with which each input of an adapter is left out in training, of lora alone; above 0 policy and reference differ from the first step on; 0 when left out',
    ),
  init: z
    .enum(['kaiming', 'gaussian'])
    .optional()
    .describe(
      'the distribution of the first of the two matrices at first, the second being 0; kaiming is uniform up to 1 / sqrt(inputs), gaussian normal with deviation 1 / r; kaiming when left out',
    ),
  modulesToSave: z
    .array(z.string().min(1))
    .min(1)
    .optional()
    .describe(
      'the list of modules that are trained whole, such as lm_head, by ends of their paths; vLLM and llama.cpp take no adapter with such',
    ),
  resumeFrom: z
    .string()
    .min(1)
    .optional()
    .describe(
      'the adapter that is trained on, in the form that it has; a folder of PEFT, or owner/name[@revision] on the Hub',
    ),
});

export const quantizeSchema = z
  .enum(['none', 'nf4', 'nf4-double'])
  .optional()
  .describe(
    'the form of the matrices of the blocks under an adapter; none keeps them as they are; nf4 keeps them in 4.5 bits a weight (NormalFloat, QLoRA), nf4-double in 4.13, and the products are made with their values in the precision of the run; none when left out',
  );
