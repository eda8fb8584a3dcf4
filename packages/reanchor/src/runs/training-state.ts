/** What a checkpoint holds of a run besides tensors: `training/state.json`. */
import * as z from 'zod';
import { measured } from './events.js';

const count = z.int().min(0);
const metrics = z.record(z.string(), measured);

/** Of a reference whose log-probabilities are kept; these are in a file beside. */
const cachedStateSchema = z.strictObject({
  kind: z.literal('cached'),
  version: count,
  /** The last step whose rows are known. */
  sweptTo: count,
  /** Whether the model that it began as is still needed, since the first sweep is not done. */
  needsInitial: z.boolean(),
});

const copiedStateSchema = z.strictObject({
  kind: z.literal('copied'),
  version: count,
  clock: z.strictObject({ isStalled: z.boolean(), isHalted: z.boolean(), plateau: z.array(measured) }),
});

/** The medians of a window of steps, or what one step has measured. */
const levelSchema = z.strictObject({ gradNorm: measured, chosen: measured, rejected: measured });

export const trainingStateSchema = z.strictObject({
  /** The optimizer steps taken. */
  step: count,
  /** Whether the evaluation that is due after this step was still to be made. */
  isEvaluationDue: z.boolean(),
  /** The size of events.jsonl at this moment. */
  eventBytes: count,
  /** The hash of the recipe without the keys that may be changed. */
  recipe: z.string(),
  /** Whether going on can give the same bits. */
  torch: z.string(),
  threads: count,
  /** The processes that made the run together; 1 where it is not said. */
  processes: count.optional(),
  /** Of the policy; the CPU where it is not said. */
  device: z.string().optional(),
  /** Digests of what the run reads, by what they are of. */
  sources: z.record(z.string(), z.string()),
  /** The state of libtorch's generator, which nothing is drawn from: in older checkpoints. */
  rng: z.string().optional(),
  /** Seconds of training so far. */
  seconds: z.number(),
  /** Whether policy and reference are equal. */
  areModelsEqual: z.boolean(),
  /** The steps since the last one that was logged. */
  log: z.strictObject({
    steps: z.array(metrics),
    tokens: count,
    allTokens: count,
    milliseconds: z.number(),
  }),
  evaluations: z.array(z.strictObject({ step: count, metrics })),
  /** Log-probabilities of the validation rows under the initial policy. */
  initialLogprobs: z.array(z.array(measured)).optional(),
  reference: z.discriminatedUnion('kind', [copiedStateSchema, cachedStateSchema]).optional(),
  /** The initial policy, where the reference's divergence from it is capped. */
  initialPolicy: cachedStateSchema.optional(),
  /** What was done about losses and gradients that are not finite. */
  divergences: z.strictObject({
    skipped: count,
    consecutive: count,
    rollbacks: count,
    /** Steps whose rows are left out. */
    leftOut: z.array(count),
  }),
  /** What is known of whether the policy runs away; not in older checkpoints. */
  runaway: z
    .strictObject({
      isFound: z.boolean(),
      /** Of the first window of steps, and of the last whole one. */
      first: levelSchema.optional(),
      last: levelSchema.optional(),
      /** The steps since. */
      window: z.array(levelSchema),
    })
    .optional(),
});

/** What a checkpoint holds of a run besides tensors. */
export type TrainingState = z.output<typeof trainingStateSchema>;
/** The state of a reference whose log-probabilities are kept. */
export type CachedState = z.output<typeof cachedStateSchema>;
/** The state of a reference that is a model of its own. */
export type CopiedState = z.output<typeof copiedStateSchema>;
