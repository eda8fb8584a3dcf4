/**
 * The recipe of a run: every key, its meaning and unit, its limits and its default, declared once.
 *
 * Types are inferred from the schema, messages and documentation are derived from it (`keys.ts`), and the text of a
 * recipe is read by `parse.ts`; what keys ask of one another is in `cross-rules.ts`. Descriptions are noun phrases, so
 * that a message can say "alpha is <description>"; it leaves out what follows a colon or semicolon. File and folder
 * names are relative to the working directory. Defaults are TRL's where TRL has the option, except `epochs` (1, not 3),
 * `logEvery` (1, not 10), `keepIdentical` (TRL keeps them) and `precision` (fp32, not bf16).
 */
import * as z from 'zod';
import { documentation } from '../version.js';
import { adapterSchema, quantizeSchema } from './adapter-section.js';
import { checkpointSchema } from './checkpoint-section.js';
import { dataSchema } from './data-section.js';
import { kernelsSchema } from './kernels-section.js';
import { logSchema } from './log-section.js';
import { lossSchema, methodSchema } from './loss-section.js';
import { parallelSchema } from './parallel-section.js';
import { referenceSchema } from './reference-section.js';
import { stopSchema } from './stop-section.js';

/** A size in bytes: a number and a unit. */
const sizePattern = /^(?<number>\d+(\.\d+)?)\s*(?<unit>KB|MB|GB|TB|KiB|MiB|GiB|TiB)$/;
const units = { KB: 1e3, MB: 1e6, GB: 1e9, TB: 1e12, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 } as const;

/** The bytes of a size such as 5GB. */
export function sizeBytes(text: string): number {
  const { number, unit } = sizePattern.exec(text)!.groups as { number: string; unit: keyof typeof units };
  return Number(number) * units[unit];
}

const path = z.string().min(1);
const count = z.int().min(1);
const momentum = z.number().min(0).lt(1);

const batchSchema = z.strictObject({
  size: count.default(8).describe('the number of rows per optimizer step'),
  tokensPerMicroBatch: count
    .default(16384)
    .describe(
      'the number of packed tokens that are computed at once; it sets the peak memory and changes results by rounding only',
    ),
  rowsPerMicroBatch: count.optional().describe('the number of rows that are computed at once at most'),
});

const optimizerSchema = z.strictObject({
  lr: z.number().gt(0).default(1e-6).describe('the learning rate of AdamW at the top of the schedule'),
  betas: z
    .tuple([momentum, momentum])
    .default([0.9, 0.999])
    .describe('the pair of decay rates per step, of the mean of the gradient and of that of its square'),
  eps: z.number().gt(0).default(1e-8).describe('the term that is added to the denominator of an AdamW step'),
  weightDecay: z
    .number()
    .min(0)
    .default(0)
    .describe(
      'the decoupled weight decay of matrices, a share of the weight per step and unit of learning rate; biases and norms have none',
    ),
  moments: z
    .enum(['fp32', '8bit'])
    .optional()
    .describe(
      'the form in which the two moments of AdamW are kept; fp32 has them in the type of what is trained; 8bit in a byte each, as shares of the largest in blocks of 256, rounded at random by the seed, which takes 2 bytes a parameter for 8 (4 with bf16-params); fp32 when left out',
    ),
});

const scheduleSchema = z.strictObject({
  type: z
    .enum(['linear', 'constant'])
    .default('linear')
    .describe(
      'the course of the learning rate after the warm-up: linear falls, and would be 0 one step after the last',
    ),
  warmupSteps: z
    .union([z.int().min(0), z.number().min(0).lt(1)])
    .default(0)
    .describe('the number of steps in which the learning rate rises from 0; below 1, a share of the run, rounded up'),
});

const evaluateSchema = z.strictObject({
  every: count
    .optional()
    .describe('the number of steps between evaluations on data.validation, besides those before and after the run'),
  generate: z
    .strictObject({
      prompts: count
        .default(32)
        .describe('the number of different prompts of data.validation that the policy answers, the first ones'),
      samples: count.default(1).describe('the number of answers to each prompt'),
      maxNewTokens: count.default(128).describe('the number of tokens at which an answer is cut'),
      metrics: z
        .array(z.enum(['kl', 'diversity', 'length']))
        .min(1)
        .default(['kl', 'diversity', 'length'])
        .describe(
          'the list of what is measured of the answers; kl the divergence from the initial policy and from the reference, for which a copy of the initial policy is kept; diversity self-BLEU and distinct n-grams; length in tokens',
        ),
    })
    .optional()
    .describe(
      'the answers that the policy writes at each evaluation, at temperature 1, and what is measured of them; up to six of them are kept as texts',
    ),
});

const saveSchema = z.strictObject({
  dtype: z
    .enum(['fp32', 'bf16', 'fp16', 'fp64'])
    .optional()
    .describe(
      'the floating-point type in which the weights of the trained model are stored; when left out precision, and fp32 of an adapter',
    ),
  merged: z
    .boolean()
    .optional()
    .describe(
      'the choice to write the model with its adapter merged into it as well, into the folder merged/ of the run; false when left out',
    ),
  maxShardSize: z
    .string()
    .regex(sizePattern)
    .default('5GB')
    .describe('the size beyond which the weights are stored in several files with an index, such as 500MB, 5GB, 2GiB'),
});

/** The schema of a recipe; parsing applies the defaults. Unknown keys are errors at every level. */
export const recipeSchema = z.strictObject({
  model: path.describe(
    'the model to be trained; a Hugging Face folder (config.json, safetensors weights, tokenizer files), or owner/name or owner/name@revision on the Hub',
  ),
  precision: z
    .enum(['fp32', 'bf16', 'bf16-params', 'fp64'])
    .default('fp32')
    .describe(
      'the floating-point type of the run; fp32 and fp64 hold for weights, optimizer state and arithmetic; bf16 computes in bfloat16 and trains float32 master weights; bf16-params keeps weights and optimizer state in bfloat16 alone, which takes half the memory of bf16 and loses small updates. Log-softmax, sums and losses are in fp32 or better in all of them',
    ),
  matmul: z
    .enum(['fp32', 'bf16'])
    .optional()
    .describe(
      'the type in which matrices of float32 are multiplied; bf16 rounds their numbers to bfloat16 on a CPU with AMX, which is several times as fast at that, and to TF32 on a GPU, and adds up in float32; on a CPU with AVX-512 alone it leaves products in float32, all of them by oneDNN; `reanchor doctor` says what the CPU has; fp32 when left out',
    ),
  device: z
    .string()
    .regex(/^(auto|cpu|cuda|cuda:\d{1,2})$/)
    .default('auto')
    .meta({
      description: `the device of the run: auto, cpu, cuda or cuda:0, cuda:1, ...; auto is the first GPU that libtorch sees, and the CPU without one; ${documentation('guide/gpu.md')} says what was tried`,
      examples: ['auto', 'cpu', 'cuda', 'cuda:0', 'cuda:1, ...'],
    }),
  deterministic: z
    .boolean()
    .default(false)
    .describe(
      'the choice of operators that give the same bits every time, some of which are slower on a GPU; on the CPU runs are deterministic in any case',
    ),
  kernels: kernelsSchema,
  adapter: adapterSchema
    .optional()
    .describe(
      'the adapter that is trained in place of the model, which stays as it is; without it all weights are trained',
    ),
  quantize: quantizeSchema,
  method: methodSchema,
  loss: lossSchema.prefault({}).describe('the options of the loss'),
  reference: referenceSchema.prefault({ update: 'fixed' }).describe('the reference policy, the anchor of the loss'),
  data: dataSchema.describe('the rows to train and evaluate on'),
  batch: batchSchema.prefault({}).describe('the rows of a step and how they are laid out'),
  optimizer: optimizerSchema.prefault({}).describe('the options of AdamW'),
  schedule: scheduleSchema.prefault({}).describe('the learning rate over the run'),
  activationCheckpointing: z
    .boolean()
    .default(false)
    .describe(
      'the choice to keep only the inputs of blocks for the backward pass and compute the rest again, which takes less memory and more time',
    ),
  maxGradNorm: z
    .number()
    .gt(0)
    .default(1)
    .describe('the global L2 norm to which a larger gradient is scaled down before the optimizer'),
  epochs: count.default(1).describe('the number of passes over the training pairs'),
  steps: count
    .optional()
    .describe(
      'the number of optimizer steps after which the run stops; the horizon of the schedule is then this number',
    ),
  evaluate: evaluateSchema.prefault({}).describe('when the policy is evaluated'),
  stop: stopSchema
    .optional()
    .describe('the end of the run before its last step: a metric of evaluations gets no better'),
  logEvery: count.default(1).describe('the number of steps that one logged step stands for'),
  onDivergence: z
    .enum(['stop', 'skip', 'rollback'])
    .default('stop')
    .describe(
      'the answer to a loss or gradient that is NaN or infinite; stop ends the run, skip leaves out the update of that step, rollback goes back to the last checkpoint and leaves that step out from then on',
    ),
  onRunaway: z
    .enum(['warn', 'stop'])
    .default('warn')
    .describe(
      `the answer to a policy that runs away: its gradient norm grows while the log-probabilities of chosen and rejected answers fall, by limits of ${documentation('guide/choosing.md')}; warn says so once, stop ends the run with a checkpoint`,
    ),
  parallel: parallelSchema.prefault({}).describe('the division of the run among processes'),
  checkpoint: checkpointSchema.prefault({}).describe('the states from which a run can go on'),
  save: saveSchema.prefault({}).describe('the form in which the trained model is stored'),
  log: logSchema.prefault({}).describe('the places of metrics besides events.jsonl'),
  seed: z
    .int()
    .min(0)
    .max(2 ** 32 - 1)
    .default(42)
    .describe('the seed of every random choice'),
  threads: count.optional().describe('the number of CPU threads of an operator; libtorch chooses when it is left out'),
});

/** A checked recipe with every default applied. */
export type Recipe = z.output<typeof recipeSchema>;
/** A recipe as somebody writes it: keys with defaults may be left out. */
export type RecipeInput = z.input<typeof recipeSchema>;
/** How the reference follows the policy: `fixed`, `soft` (alpha), `hard` (tau) or `mixed` (both). */
export type ReferenceOptions = Recipe['reference'];
