/**
 * The recipe of a run: every key, its meaning and unit, its limits and its default, declared once.
 *
 * Types are inferred from the schema, messages and documentation are derived from it (`keys.ts`), and the text of a
 * recipe is read by `parse.ts`. Descriptions are noun phrases, so that a message can say "alpha is <description>"; it
 * leaves out what follows a colon or semicolon. File and folder names are relative to the working directory. Defaults
 * are TRL's where TRL has the option, except `epochs` (1, not 3), `logEvery` (1, not 10), `keepIdentical` (TRL keeps
 * them) and `precision` (fp32, not bf16).
 */
import * as z from 'zod';
import { documentation } from '../version.js';
import { adapterFormKeys, adapterSchema, quantizeSchema } from './adapter-section.js';
import { checkpointSchema } from './checkpoint-section.js';
import { dataSchema } from './data-section.js';
import { fusedConflicts, kernelsSchema } from './kernels-section.js';
import { logSchema } from './log-section.js';
import { divergenceTypes, lossKeyMethods, lossSchema, type Method, methodSchema, methods } from './loss-section.js';
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
      'the type in which matrices of float32 are multiplied; bf16 rounds their numbers to bfloat16 on a CPU with AMX, which is several times as fast at that, and to TF32 on a GPU, and adds up in float32; on a CPU with AVX-512 alone it leaves products in float32 to oneDNN, which is faster than MKL on those of AMD; `reanchor doctor` says what the CPU has; fp32 when left out',
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

/** A rule between two keys, which no schema of a single key can hold. */
export interface CrossRule {
  path: readonly string[];
  /** Whether the given recipe, whose other keys may still be wrong, breaks the rule. */
  isBroken(given: Record<string, unknown>): boolean;
  rule: string;
}

const sectionOf = (given: Record<string, unknown>, name: string) => {
  const section = given[name];
  return typeof section === 'object' && section !== null ? (section as Record<string, unknown>) : {};
};

const methodOf = (given: Record<string, unknown>) => methods.find((method) => method === given.method);
const section = (name: string, key: string) => (given: Record<string, unknown>) => sectionOf(given, name)[key];
const isReference = (...updates: string[]) => {
  const update = section('reference', 'update');
  return (given: Record<string, unknown>) => updates.includes(String(update(given) ?? 'fixed'));
};

/** A key of `loss:` that the method does not use; a default that was written out is no mistake. */
const lossRules: CrossRule[] = Object.entries(lossKeyMethods).map(([key, users]) => ({
  path: ['loss', key],
  isBroken: (given) => {
    const value = section('loss', key)(given);
    const method: Method | undefined = methodOf(given);
    const isDefault = lossSchema.shape[key as keyof typeof lossSchema.shape].safeParse(undefined).data === value;
    return value !== undefined && !isDefault && method !== undefined && !users.includes(method);
  },
  rule: `it is an option of method ${users.join(', ')} and has no effect here: remove this key`,
}));

function isOtherDivergence(given: Record<string, unknown>): boolean {
  return !['reverse_kl', undefined].includes(section('loss', 'fDivergenceType')(given) as string | undefined);
}

/** Whether the losses of `loss.type` take another divergence; imitation beside them sees none. */
function takesDivergence(given: Record<string, unknown>): boolean {
  const names = [section('loss', 'type')(given) ?? 'sigmoid'].flat().filter((name) => name !== 'sft');
  return names.length > 0 && names.every((name) => divergenceTypes.some((type) => type === name));
}

const adapter = (key: string) => section('adapter', key);
const hasAdapter = (given: Record<string, unknown>) => given.adapter !== undefined;

const kernelRules: CrossRule[] = fusedConflicts.map(({ isIn, rule }) => ({
  path: ['kernels'],
  isBroken: (given) => given.kernels === 'fused' && isIn(given),
  rule,
}));

/** What goes with an adapter, and what it goes with. */
const adapterRules: CrossRule[] = [
  {
    path: ['quantize'],
    isBroken: (given) => ![undefined, 'none'].includes(given.quantize as string) && !hasAdapter(given),
    rule: 'weights that are trained cannot be kept in 4 bits: add an adapter section, or remove this key',
  },
  {
    path: ['quantize'],
    isBroken: (given) =>
      hasAdapter(given) &&
      ![undefined, 'none'].includes(given.quantize as string) &&
      section('parallel', 'shard')(given) === 'parameters',
    rule: 'weights of 4 bits are not divided among processes: use parallel.shard none, or quantize none',
  },
  ...(['average', 'rank'] as const).map((key) => ({
    path: ['reference', key],
    isBroken: (given: Record<string, unknown>) => section('reference', key)(given) !== undefined && !hasAdapter(given),
    rule: 'it is of a reference that is an adapter, and weights are averaged as they are: add an adapter section, or remove this key',
  })),
  {
    path: ['reference', 'rank'],
    isBroken: (given) =>
      section('reference', 'rank')(given) !== undefined && section('reference', 'average')(given) === 'factors',
    rule: 'factors keep their rank: remove this key, or use average product',
  },
  {
    path: ['reference', 'average'],
    isBroken: (given) => section('reference', 'average')(given) === 'product' && adapter('type')(given) === 'dora',
    rule: 'what dora makes of a matrix has no low rank: use average factors, or type lora',
  },
  {
    path: ['adapter', 'dropout'],
    isBroken: (given) => Number(adapter('dropout')(given) ?? 0) > 0 && adapter('type')(given) === 'dora',
    rule: 'dora sees its inputs in the frozen matrix as well, which dropout would change: remove this key, or use type lora',
  },
  ...adapterFormKeys.map((key) => ({
    path: ['adapter', key],
    isBroken: (given: Record<string, unknown>) =>
      adapter(key)(given) !== undefined && adapter('resumeFrom')(given) !== undefined,
    rule: 'the adapter of resumeFrom has its own: remove this key',
  })),
  {
    path: ['precision'],
    isBroken: (given) => given.precision === 'bf16-params' && hasAdapter(given),
    rule: 'an adapter is trained in float32 beside a base in bfloat16: use bf16',
  },
  {
    path: ['adapter', 'modulesToSave'],
    isBroken: (given) => given.precision === 'bf16' && adapter('modulesToSave')(given) !== undefined,
    rule: 'whole modules are trained in the precision of the base, and in bfloat16 they would lose small steps: use precision fp32, or remove this key',
  },
  {
    path: ['parallel', 'shard'],
    isBroken: (given) =>
      hasAdapter(given) && ['optimizer', 'gradients'].includes(String(section('parallel', 'shard')(given))),
    rule: 'the optimizer state and the gradients of an adapter are small, and every process has them: use parameters, which divides the base, or none',
  },
  {
    path: ['parallel', 'offload'],
    isBroken: (given) => hasAdapter(given) && section('parallel', 'offload')(given) === 'optimizer',
    rule: 'the optimizer state of an adapter is small and stays on the device: remove this key',
  },
  {
    path: ['optimizer', 'moments'],
    isBroken: (given) => section('optimizer', 'moments')(given) === '8bit' && given.precision === 'fp64',
    rule: '8bit is for float32 and bfloat16: remove this key, or use another precision',
  },
  {
    path: ['optimizer', 'moments'],
    isBroken: (given) =>
      section('optimizer', 'moments')(given) === '8bit' &&
      (!['none', undefined].includes(section('parallel', 'shard')(given) as string | undefined) ||
        section('parallel', 'offload')(given) === 'optimizer'),
    rule: 'blocks of 8-bit moments are those of whole parameters, which divided or offloaded ones are not: remove this key, or use parallel.shard none',
  },
  {
    path: ['matmul'],
    isBroken: (given) => given.matmul !== undefined && given.precision !== undefined && given.precision !== 'fp32',
    rule: 'it says what products of float32 matrices are computed in, of which other precisions have none: remove this key, or use precision fp32',
  },
  {
    path: ['save', 'merged'],
    isBroken: (given) => section('save', 'merged')(given) === true && !hasAdapter(given),
    rule: 'there is no adapter to be merged: remove this key',
  },
  {
    path: ['save', 'merged'],
    isBroken: (given) =>
      section('save', 'merged')(given) === true && section('parallel', 'shard')(given) === 'parameters',
    rule: 'no process has the base to merge into: use parallel.shard none, or reanchor merge afterwards',
  },
];

/** The rules between keys: an option without effect is an error. */
export const crossRules: readonly CrossRule[] = [
  ...lossRules,
  ...kernelRules,
  ...adapterRules,
  {
    path: ['loss', 'weights'],
    isBroken: (given) => {
      const weights = section('loss', 'weights')(given);
      const type = section('loss', 'type')(given);
      return (
        weights !== undefined && (!Array.isArray(type) || !Array.isArray(weights) || type.length !== weights.length)
      );
    },
    rule: 'it needs a list of losses in loss.type, and one weight for each of them',
  },
  {
    path: ['loss', 'fDivergenceType'],
    isBroken: (given) => methodOf(given) === 'dpo' && isOtherDivergence(given) && !takesDivergence(given),
    rule: `it is for the losses ${divergenceTypes.join(', ')}, with or without sft beside: remove this key, or change loss.type`,
  },
  {
    path: ['loss', 'fDivergenceType'],
    isBroken: (given) => isOtherDivergence(given) && section('loss', 'clipReferenceMargin')(given) === true,
    rule: 'loss.clipReferenceMargin goes with reverse_kl alone: remove one of the two',
  },
  {
    path: ['loss', 'fAlphaDivergenceCoef'],
    isBroken: (given) =>
      section('loss', 'fAlphaDivergenceCoef')(given) !== undefined &&
      section('loss', 'fDivergenceType')(given) !== 'alpha_divergence',
    rule: 'it is the order of fDivergenceType alpha_divergence and has no effect here: remove this key',
  },
  {
    path: ['reference'],
    isBroken: (given) => methodOf(given) === 'sft' && !isEmptyReference(given.reference),
    rule: 'method sft has no reference: remove this section',
  },
  {
    path: ['reference', 'storage'],
    isBroken: (given) => section('reference', 'storage')(given) === 'cached' && !isReference('fixed', 'hard')(given),
    rule: 'log-probabilities can be cached only while the reference stays where it is and if an update makes it the policy: use update fixed or hard, or storage copy',
  },
  {
    path: ['reference', 'maxDivergence'],
    isBroken: (given) =>
      section('reference', 'storage')(given) === 'cached' && section('reference', 'maxDivergence')(given) !== undefined,
    rule: 'a cached reference cannot be kept past the update for which it was made: use storage copy',
  },
  {
    path: ['reference', 'metric'],
    isBroken: (given) =>
      section('reference', 'metric')(given) === 'accuracy' && section('evaluate', 'every')(given) === undefined,
    rule: 'accuracy is measured by evaluations: set evaluate.every and data.validation, or use margin',
  },
  {
    path: ['reference', 'metric'],
    isBroken: (given) => section('reference', 'metric')(given) === 'accuracy' && methodOf(given) === 'kto',
    rule: 'accuracy is of pairs, which method kto has none of: use margin',
  },
  {
    path: ['data', 'loss'],
    isBroken: (given) => section('data', 'loss')(given) === 'full' && !['sft', undefined].includes(methodOf(given)),
    rule: 'full is an option of method sft: use assistant or completion, or remove this key',
  },
  {
    path: ['steps'],
    isBroken: (given) => given.steps !== undefined && given.epochs !== undefined,
    rule: 'contradicts epochs, since either sets the length of the run: remove one of them; null takes one out of a recipe that this one extends',
  },
  {
    path: ['evaluate', 'every'],
    isBroken: (given) =>
      sectionOf(given, 'evaluate').every !== undefined && sectionOf(given, 'data').validation === undefined,
    rule: 'it has no effect without data.validation: set data.validation, or remove this key',
  },
  {
    path: ['evaluate', 'generate'],
    isBroken: (given) =>
      sectionOf(given, 'evaluate').generate !== undefined && sectionOf(given, 'data').validation === undefined,
    rule: 'its prompts are those of data.validation: set data.validation, or remove this section',
  },
  {
    path: ['checkpoint', 'best'],
    isBroken: (given) => {
      const { every, best } = sectionOf(given, 'checkpoint');
      const evaluated = sectionOf(given, 'evaluate').every;
      return best !== undefined && !(Number(every) % Number(evaluated) === 0);
    },
    rule: 'checkpoints are compared by the evaluation of their step: set evaluate.every, and checkpoint.every to a multiple of it in steps, or remove this key',
  },
  {
    path: ['checkpoint', 'final'],
    isBroken: (given) => {
      const { best, final } = sectionOf(given, 'checkpoint');
      return final === 'best' && best === undefined;
    },
    rule: 'the best is told by checkpoint.best: set that to a metric of evaluations, or remove this key',
  },
  {
    path: ['stop'],
    isBroken: (given) => given.stop !== undefined && section('evaluate', 'every')(given) === undefined,
    rule: 'it goes by evaluations on the way: set data.validation and evaluate.every, or remove this section',
  },
  ...(['replicas', 'offload'] as const).map((key) => ({
    path: ['parallel', key],
    isBroken: (given: Record<string, unknown>) => {
      const { shard = 'none', [key]: value } = sectionOf(given, 'parallel');
      return shard === 'none' && ![undefined, 1, 'none'].includes(value as string | number | undefined);
    },
    rule: 'it has no effect where parallel.shard divides nothing: set parallel.shard to optimizer, gradients or parameters, or remove this key',
  })),
  {
    path: ['onDivergence'],
    isBroken: (given) =>
      given.onDivergence === 'rollback' &&
      [undefined, 'never'].includes(sectionOf(given, 'checkpoint').every as string),
    rule: 'rollback needs checkpoints to go back to: set checkpoint.every, in steps where they have to be there in time, or use stop or skip',
  },
  {
    path: ['onRunaway'],
    isBroken: (given) => given.onRunaway === 'stop' && methodOf(given) === 'sft',
    rule: 'method sft has no chosen answers to watch: remove this key',
  },
  {
    path: ['log', 'experiment'],
    isBroken: (given) => {
      const { experiment, mlflow } = sectionOf(given, 'log');
      return experiment !== undefined && mlflow === undefined;
    },
    rule: 'it has no effect without log.mlflow: set log.mlflow, or remove this key',
  },
];

function isEmptyReference(given: unknown): boolean {
  return given === undefined || JSON.stringify(given) === '{"update":"fixed"}';
}
