import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { dtypeBytes } from '@reanchor/torch';
import { kindOf, type MicroBatch, microBatches, packGroups, stepCount } from '../data/index.js';
import { UserError } from '../errors.js';
import type { ConfigJson } from '../models/causal-lm.js';
import { readConfig } from '../models/load.js';
import { publishedConfig, publishedModels } from '../models/published-configs.js';
import { type ModelShape, modelShape } from '../models/shape.js';
import { recipeDTypes } from '../planning/dtypes.js';
import { recipeObjective } from '../planning/objective.js';
import { Plan, stepOptions } from '../planning/plan.js';
import { recipeRule } from '../planning/rule.js';
import { planWarnings, runWarnings } from '../planning/warnings.js';
import { type Recipe, recipeHere } from '../recipe/index.js';
import { plannedUpdates, type UpdateRule } from '../reference/update-rule.js';
import { answeredPrompts, answerPasses, keepsInitial } from './answers.js';
import { type Flops, runFlops } from './flops.js';
import { assumedStep, type MicroBatchLayout, type PackLayout, packLayout } from './layout.js';
import {
  type DeviceMemory,
  deviceMemory,
  type HeadMemory,
  headMemory,
  type MemoryOptions,
  type MemoryParts,
  stepMemory,
  totalMemory,
} from './memory.js';
import { processBytes } from './process.js';
import { type Rows, rowsAtHand } from './rows.js';

export interface EstimateOptions {
  recipe: Recipe;
  /** Devices that a step is shared by. */
  devices?: number | undefined;
  /** Names of models of whose shape the recipe's own is, where that is not at hand; the last known one counts. */
  modelsOfSameShape?: readonly string[] | undefined;
  /** What is known of a model and of rows that are yet to be made. */
  expected?: Expected | undefined;
}

/** What is known beforehand of what a run reads. */
export interface Expected {
  /** The model's config.json, and where it comes from, in words. */
  config?: { configJson: ConfigJson; from: string } | undefined;
  /** The most rows, and the most tokens of a prompt and of a completion, `data.maxLength` where they are not known. */
  rows?: { most: number; prompt?: number | undefined; completion?: number | undefined } | undefined;
}

/** What a run will take. Numbers that cannot be known without the rows are undefined. */
export interface RunEstimate {
  model: { name: string; shapeFrom: string; shape: ModelShape };
  /** Rows that are trained on, and how they are known. */
  rows: number | undefined;
  rowsFrom: Rows['from'];
  /** Optimizer steps and updates of the reference; `atMost` where rows may still be left out. */
  steps: number | undefined;
  /** Undefined for a plateau, which nobody can foresee, and without steps. */
  updates: number | undefined;
  atMost: boolean;
  /** Packed tokens of the run and tokens that are scored, summed over the epochs. */
  tokens: { packed: number; scored: number } | undefined;
  /** The micro-batch that takes most memory; assumed where the rows are not at hand. */
  microBatch: { rows: number; tokens: number; scored: number };
  isAssumed: boolean;
  /** Of the run, or where `steps` is undefined of one step. */
  flops: Flops;
  memory: MemoryParts;
  head: HeadMemory;
  /** The total with the other choice of activationCheckpointing. */
  otherCheckpointing: number;
  devices: number;
  deviceMemory: DeviceMemory;
  warnings: string[];
}

/** A run as far as it is known: the layouts of its steps, and what is said beforehand. */
interface Outlook {
  rows: number | undefined;
  totalSteps: number | undefined;
  rule: UpdateRule | undefined;
  steps: Iterable<MicroBatchLayout[]>;
  /** The passes of one evaluation, and the lengths of the prompts that it answers. */
  validation: PackLayout[];
  prompts: number[];
  /** What the process keeps of the rows, and has read of them. */
  held: { rows: number; tokens: number; characters: number };
  warnings: string[];
}

/**
 * Memory, FLOPs, steps and updates of the reference of a recipe, without loading weights or libtorch. The shape of the
 * model comes from its config.json, else from the table of published models; rows from their files, else from what is
 * known of published sets. Errors: UserError for a model whose shape is not known; those of the rows that are at hand.
 */
export async function estimateRun({
  recipe: written,
  devices = 1,
  modelsOfSameShape = [],
  expected = {},
}: EstimateOptions): Promise<RunEstimate> {
  const recipe = recipeHere(written, { missing: 'stay' });
  const { configJson, from } = expected.config ?? (await shapeSource(recipe.model, modelsOfSameShape));
  const shape = modelShape(configJson);
  const rows: Rows = expected.rows ? { from: 'counting', train: expected.rows.most } : await rowsAtHand(recipe);
  const objective = recipeObjective(recipe);
  const plan =
    rows.from === 'reading'
      ? exactOutlook(new Plan(recipe, rows.data), configJson)
      : assumedOutlook(recipe, rows, expected.rows);
  const { totalSteps, rule } = plan;
  const hasReferenceModel = objective.needsReference && recipe.reference.storage !== 'cached';
  const memoryOptions: MemoryOptions = {
    shape,
    ...bytesOf(recipe, hasReferenceModel),
    needsReference: objective.needsReference,
    activationCheckpointing: recipe.activationCheckpointing,
    process: processBytes(plan.held),
  };
  const { steps, tokens, memory, largest, otherCheckpointing } = sumOfSteps(plan.steps, memoryOptions);
  const isRead = rows.from === 'reading';
  const updates = rule && totalSteps !== undefined ? plannedUpdates(rule, totalSteps) : [];
  return {
    model: { name: written.model, shapeFrom: from, shape },
    rows: plan.rows,
    rowsFrom: rows.from,
    steps: totalSteps,
    updates: totalSteps === undefined || rule?.update === 'plateau' ? undefined : updates.length,
    atMost: !isRead && recipe.steps === undefined,
    tokens: isRead ? tokens : undefined,
    microBatch: { rows: largest.rows, tokens: largest.policy.tokens, scored: largest.policy.scored },
    isAssumed: !isRead,
    flops: runFlops(shape, {
      steps,
      repeats: isRead ? 1 : (totalSteps ?? 1),
      updates: new Set(updates),
      stepsPerEpoch: plan.rows === undefined ? Number.POSITIVE_INFINITY : Math.ceil(plan.rows / recipe.batch.size),
      validation: plan.validation,
      evaluations: evaluationsOf(recipe, totalSteps ?? 0),
      answers: answerPasses(recipe, plan.prompts, hasReferenceModel),
      storage: objective.needsReference ? (recipe.reference.storage ?? 'copy') : 'none',
      capsDivergence: 'maxDivergence' in recipe.reference && recipe.reference.maxDivergence !== undefined,
      couplesRows: objective.couplesRows && objective.over === 'step',
      activationCheckpointing: recipe.activationCheckpointing,
    }),
    memory,
    otherCheckpointing,
    head: headMemory(largest.policy, memoryOptions),
    devices,
    deviceMemory: deviceMemory(memory, devices, memoryOptions),
    warnings: plan.warnings,
  };
}

/** The bytes of a number in each copy of the weights; 0 for a copy that is not kept. */
function bytesOf(recipe: Recipe, hasReferenceModel: boolean) {
  const dtypes = recipeDTypes(recipe);
  const [bytes, referenceBytes] = [dtypeBytes(dtypes.dtype), dtypeBytes(dtypes.reference)];
  return {
    bytes,
    wideBytes: dtypes.wide === undefined ? 0 : dtypeBytes(dtypes.wide),
    initialBytes: keepsInitial(recipe) ? bytes : 0,
    referenceBytes: hasReferenceModel ? bytes + (referenceBytes > bytes ? referenceBytes : 0) : 0,
  };
}

/** All steps, their tokens, and the memory of the one that holds most. */
function sumOfSteps(
  all: Iterable<MicroBatchLayout[]>,
  options: MemoryOptions,
): {
  steps: MicroBatchLayout[][];
  tokens: { packed: number; scored: number };
  memory: MemoryParts;
  /** The largest micro-batch of that step. */
  largest: MicroBatchLayout;
  /** The most bytes with activation checkpointing the other way. */
  otherCheckpointing: number;
} {
  const otherOptions = { ...options, activationCheckpointing: !options.activationCheckpointing };
  let otherCheckpointing = 0;
  let memory: MemoryParts | undefined;
  let largest: MicroBatchLayout | undefined;
  const tokens = { packed: 0, scored: 0 };
  const steps: MicroBatchLayout[][] = [];
  for (const step of all) {
    steps.push(step);
    const held = stepMemory(step, options);
    otherCheckpointing = Math.max(otherCheckpointing, totalMemory(stepMemory(step, otherOptions)));
    if (memory === undefined || totalMemory(held) > totalMemory(memory)) {
      memory = held;
      largest = step.reduce((a, b) => (b.policy.tokens > a.policy.tokens ? b : a));
    }
    for (const { policy } of step) {
      tokens.packed += policy.tokens;
      tokens.scored += policy.scored;
    }
  }
  return { steps, tokens, memory: memory!, largest: largest!, otherCheckpointing };
}

/**
 * The config.json of a model by its folder, else of the published model of its name, or of another one of the same
 * shape; and where it comes from. Errors: UserError for a model whose shape is not known.
 */
export async function shapeSource(
  model: string,
  modelsOfSameShape: readonly string[] = [],
): Promise<{ configJson: ConfigJson; from: string }> {
  const file = join(model, 'config.json');
  if (existsSync(file)) return { configJson: await readConfig(model), from: file };
  const found =
    publishedConfig(model) ?? modelsOfSameShape.map(publishedConfig).findLast((config) => config !== undefined);
  if (found) return { configJson: found.configJson, from: found.id };
  throw new UserError(
    (option) =>
      `${file} does not exist, and the shape of this model is not known: name a Hugging Face folder, or a published model ` +
      `of which it is (${option('set')} model=...): ${publishedModels.join(', ')}`,
  );
}

/** Evaluations of a run, the one before it included. */
function evaluationsOf({ evaluate }: Recipe, totalSteps: number): number {
  const between = evaluate.every === undefined ? 0 : Math.max(0, Math.ceil(totalSteps / evaluate.every) - 1);
  return totalSteps === 0 ? 0 : 2 + between;
}

/** The run exactly as training will make it. */
function exactOutlook(plan: Plan, configJson: ConfigJson): Outlook {
  const { recipe, objective, validation, lengths, report } = plan;
  const steps = function* () {
    for (const planned of plan.steps())
      yield plan.layOut(planned).map((batch, i) => layoutOf(planned.microBatches[i]!.length, batch));
  };
  const groups = validation.map((row) => objective.group(row));
  const evaluated = [...microBatches(groups, recipe.batch.tokensPerMicroBatch)].map((some) =>
    packLayout(packGroups(some)),
  );
  return {
    rows: plan.rows.length,
    totalSteps: plan.totalSteps,
    rule: plan.rule,
    steps: steps(),
    validation: evaluated,
    prompts: answeredPrompts(recipe, groups),
    held: {
      rows: plan.rows.length + validation.length,
      tokens: [...lengths, ...evaluated.map(({ tokens }) => tokens)].reduce((sum, length) => sum + length, 0),
      characters: report.characters,
    },
    warnings: runWarnings(plan, { configJson, dtype: plan.dtypes.dtype }),
  };
}

const layoutOf = (rows: number, { policy, reference, partners }: MicroBatch): MicroBatchLayout => ({
  rows,
  policy: packLayout(policy),
  reference: packLayout(reference),
  partners: partners && packLayout(partners),
});

/** The run as far as it can be told without its rows: one step of full rows. */
function assumedOutlook(recipe: Recipe, rows: Exclude<Rows, { from: 'reading' }>, lengths: Expected['rows']): Outlook {
  const { batch, data, steps } = recipe;
  const count = 'train' in rows ? rows.train : undefined;
  const totalSteps =
    steps ?? (count === undefined ? undefined : stepCount(count, stepOptions(recipe, [{ rows: count, weight: 1 }])));
  const rule =
    totalSteps === undefined || recipe.method === 'sft' ? undefined : recipeRule(recipe.reference, totalSteps);
  const step = assumedStep(kindOf(recipe), {
    ...rowLengths(data.maxLength, lengths),
    batchSize: Math.min(batch.size, count ?? batch.size),
    tokensPerMicroBatch: batch.tokensPerMicroBatch,
    rowsPerMicroBatch: batch.rowsPerMicroBatch,
  });
  return {
    rows: count,
    totalSteps,
    rule,
    steps: [step],
    validation: [],
    prompts: Array.from({ length: recipe.evaluate.generate?.prompts ?? 0 }, () => Math.floor(data.maxLength / 2)),
    // How long the rows are is not known; what they take comes on top.
    held: { rows: 0, tokens: 0, characters: 0 },
    warnings: totalSteps === undefined ? [] : planWarnings(recipe, totalSteps, rule ?? { update: 'fixed' }),
  };
}

/** The lengths of a row that nobody has seen: half of the longest are prompt, unless more is known. */
function rowLengths(maxLength: number, { prompt, completion }: Partial<NonNullable<Expected['rows']>> = {}) {
  const prefix = Math.min(prompt ?? Math.floor(maxLength / 2), maxLength - 1);
  return { prefix, completion: Math.min(completion ?? maxLength, maxLength - prefix) };
}
