import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { dtypeBytes } from '@reanchor/torch';
import { microBatches, packGroups, stepCount } from '../data/index.js';
import { UserError } from '../errors.js';
import type { ConfigJson } from '../models/causal-lm.js';
import { readConfig } from '../models/load.js';
import { publishedConfig, publishedModels } from '../models/published-configs.js';
import { type ModelShape, modelShape } from '../models/shape.js';
import type { RecipeData } from '../planning/data.js';
import { recipeDTypes, recipeMomentBytes } from '../planning/dtypes.js';
import { recipeObjective } from '../planning/objective.js';
import { Plan, stepOptions } from '../planning/plan.js';
import { requireReplicas } from '../planning/replicas.js';
import { recipeRule } from '../planning/rule.js';
import { planWarnings, runWarnings } from '../planning/warnings.js';
import { type Recipe, recipeHere } from '../recipe/index.js';
import { plannedUpdates, type UpdateRule } from '../reference/update-rule.js';
import { sum } from '../stats/index.js';
import { planUnits } from '../weights/unit-plan.js';
import { type AdapterForm, type AdapterSummary, adapterForm, adapterSummary } from './adapter-form.js';
import { adapterMemory } from './adapter-memory.js';
import { adapterWork } from './adapter-work.js';
import { answeredPrompts, answerPasses, keepsInitial } from './answers.js';
import { assumedPlan } from './assumed-rows.js';
import { type ModelFiles, modelFiles } from './disk.js';
import { type Flops, runFlops } from './flops.js';
import { layouts, type OwnedLayout, type PackLayout, packLayout } from './layout.js';
import { type HeadMemory, headMemory } from './memory.js';
import { type MemoryOptions, type MemoryParts, type ShardMode, shardModes, totalMemory } from './memory-parts.js';
import { processBytes } from './process.js';
import {
  type DivisionOptions,
  modeOf,
  otherMemory,
  type RunTraits,
  type WorldEstimate,
  worldEstimate,
} from './processes.js';
import { type Rows, rowsAtHand } from './rows.js';

/** The run that is estimated, and on what. */
export interface EstimateOptions {
  recipe: Recipe;
  /** The processes that share the run. Default: 1. */
  processes?: number | undefined;
  /** Other numbers of processes of which the first steps are told as well. */
  otherProcesses?: readonly number[] | undefined;
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
  /** Undefined where all weights are trained. */
  adapter: AdapterSummary | undefined;
  /** Rows that are trained on, and how they are known. */
  rows: number | undefined;
  rowsFrom: Rows['from'];
  /** Optimizer steps and updates of the reference; `atMost` where rows may still be left out, or the run end early. */
  steps: number | undefined;
  /** Undefined for a plateau, which nobody can foresee, and without steps. */
  updates: number | undefined;
  atMost: boolean;
  /** Packed tokens of the run and tokens that are scored, summed over the epochs. */
  tokens: { packed: number; scored: number } | undefined;
  /** The largest micro-batch; assumed where the rows are not at hand. */
  microBatch: { rows: number; tokens: number; scored: number };
  isAssumed: boolean;
  /** Of the run, or where `steps` is undefined of one step; on all processes together. */
  flops: Flops;
  /** Of one process, that which holds most. */
  memory: MemoryParts;
  /** What it keeps in main memory besides, apart from a GPU's. */
  mainMemory: number;
  head: HeadMemory;
  /** The total with the other choice of activationCheckpointing. */
  otherCheckpointing: number;
  /** Undefined where the steps are. */
  files: ModelFiles | undefined;
  processes: number;
  shard: ShardMode;
  /** The run on `processes`, and the first steps of it on other numbers of them. */
  worlds: WorldEstimate[];
  warnings: string[];
}

/** A run as far as it is known: the layouts of its steps, and what is said beforehand. */
interface Outlook {
  rows: number | undefined;
  totalSteps: number | undefined;
  rule: UpdateRule | undefined;
  /** The steps on so many processes; those of rows that nobody has seen are one. */
  steps(processes: number): Iterable<OwnedLayout[]>;
  /** The passes of one evaluation, and the lengths of the prompts that it answers. */
  validation: PackLayout[];
  prompts: number[];
  /** What the process keeps of the rows, and has read of them. */
  held: { rows: number; tokens: number };
  warnings: string[];
}

/**
 * Memory, FLOPs, steps and updates of the reference of a recipe, without loading weights or libtorch. The shape of the
 * model comes from its config.json, else from the table of published models; rows from their files, else from what is
 * known of published sets. Errors: UserError for a model whose shape is not known; those of the rows that are at hand.
 */
export async function estimateRun(options: EstimateOptions): Promise<RunEstimate> {
  const { recipe: written, processes = 1, otherProcesses = [], modelsOfSameShape, expected = {} } = options;
  const recipe = recipeHere(written, { missing: 'stay' });
  requireReplicas(recipe, processes);
  const { configJson, from } = expected.config ?? (await shapeSource(recipe.model, modelsOfSameShape));
  const shape = modelShape(configJson);
  const rows: Rows = expected.rows ? { from: 'counting', train: expected.rows.most } : await rowsAtHand(recipe);
  const outlook =
    rows.from === 'reading' ? exactOutlook(recipe, rows.data, configJson) : assumedOutlook(recipe, rows, expected.rows);
  const { totalSteps, rule, held, warnings } = outlook;
  const isRead = rows.from === 'reading';
  const updates = rule && totalSteps !== undefined ? plannedUpdates(rule, totalSteps) : [];
  const { shard, replicas } = recipe.parallel;
  const form = await adapterForm(recipe, configJson);
  const adapter = form && adapterSummary(form);
  const division = divisionOptions(recipe, configJson, {
    ...{ form, processes, process: processBytes(held) },
    updatesPerStep: rule?.update === 'soft' ? 1 : updates.length / (totalSteps ?? 1),
  });
  const { memory, traits } = division;
  const steps = [...outlook.steps(processes)];
  // Gradients and moments of an adapter are not divided.
  const modes = form ? (['none', 'parameters'] as const) : shardModes;
  const world = worldEstimate(steps, processes, shard, division, modes);
  const others = otherProcesses
    .filter((count) => count !== processes && count % replicas === 0)
    .map((count) => worldEstimate(firstOf(outlook.steps(count)), count, shard, division));
  const counted = steps.map((step) => step.filter(({ isFiller }) => !isFiller));
  const largest = counted.flat().reduce((a, b) => (b.policy.tokens > a.policy.tokens ? b : a));
  return {
    model: { name: written.model, shapeFrom: from, shape },
    adapter,
    rows: outlook.rows,
    rowsFrom: rows.from,
    steps: totalSteps,
    updates: totalSteps === undefined || rule?.update === 'plateau' ? undefined : updates.length,
    atMost: (!isRead && recipe.steps === undefined) || recipe.stop !== undefined,
    tokens: isRead ? tokensOf(counted) : undefined,
    microBatch: { rows: largest.rows, tokens: largest.policy.tokens, scored: largest.policy.scored },
    isAssumed: !isRead,
    flops: runFlops(shape, {
      ...traits,
      steps: counted,
      repeats: isRead ? 1 : (totalSteps ?? 1),
      updates: new Set(updates),
      stepsPerEpoch:
        outlook.rows === undefined ? Number.POSITIVE_INFINITY : Math.ceil(outlook.rows / recipe.batch.size),
      validation: outlook.validation,
      evaluations: evaluationsOf(recipe, totalSteps ?? 0),
      answers: answerPasses(recipe, outlook.prompts, traits.storage === 'copy'),
    }),
    memory: modeOf(world, shard).memory,
    mainMemory: modeOf(world, shard).mainMemory,
    otherCheckpointing: totalMemory(otherMemory(steps, processes, shard, division)),
    head: headMemory(largest.policy, memory),
    files: totalSteps === undefined ? undefined : modelFiles(recipe, shape, adapter, totalSteps),
    ...{ processes, shard, worlds: [world, ...others], warnings },
  };
}

/** What is the same on all processes of a run, of which each holds so many bytes without tensors. */
function divisionOptions(
  recipe: Recipe,
  configJson: ConfigJson,
  run: { form: AdapterForm | undefined; processes: number; process: number; updatesPerStep: number },
): DivisionOptions {
  const { form, processes, process, updatesPerStep } = run;
  const { shard, replicas, reduce, offload } = recipe.parallel;
  const shape = modelShape(configJson);
  const isWalked = recipe.activationCheckpointing || (shard === 'parameters' && processes > replicas);
  return {
    memory: memoryOptions(recipe, shape, form, process),
    units: planUnits(configJson, (name) => !form?.whole.has(name)),
    traits: { ...runTraits(recipe, updatesPerStep), adapter: form && adapterWork(form, shape.block, isWalked) },
    parallel: { replicas, reduceBytes: reduce && dtypeBytes(reduce), isOffloaded: offload === 'optimizer' },
  };
}

/** What is told of the passes of a run whose reference moves so often. */
function runTraits(recipe: Recipe, updatesPerStep: number): RunTraits {
  const objective = recipeObjective(recipe);
  const { reference, activationCheckpointing } = recipe;
  return {
    storage: objective.needsReference ? (reference.storage ?? 'copy') : 'none',
    capsDivergence: 'maxDivergence' in reference && reference.maxDivergence !== undefined,
    couplesRows: objective.couplesRows && objective.over === 'step',
    activationCheckpointing,
    updatesPerStep,
  };
}

function memoryOptions(
  recipe: Recipe,
  shape: ModelShape,
  form: AdapterForm | undefined,
  process: number,
): MemoryOptions {
  const { needsReference } = recipeObjective(recipe);
  const hasModel = needsReference && recipe.reference.storage !== 'cached';
  const writesAnswers = recipe.evaluate.generate !== undefined;
  const { activationCheckpointing, kernels } = recipe;
  const weights = form ? besideBase(recipe, form, hasModel) : bytesOf(recipe, hasModel);
  const momentBytes = recipeMomentBytes(recipe);
  return { shape, ...weights, momentBytes, needsReference, writesAnswers, activationCheckpointing, kernels, process };
}

function besideBase(recipe: Recipe, form: AdapterForm, hasCopy: boolean) {
  const bytes = dtypeBytes(recipeDTypes(recipe).dtype);
  return { bytes, wideBytes: 0, referenceBytes: 0, adapter: adapterMemory(form, recipe, hasCopy) };
}

function tokensOf(steps: readonly OwnedLayout[][]): { packed: number; scored: number } {
  const packs = steps.flat().map(({ policy }) => policy);
  return { packed: sum(packs.map(({ tokens }) => tokens)), scored: sum(packs.map(({ scored }) => scored)) };
}

/** The first steps, of which other numbers of processes are told. */
const firstOf = <T>(steps: Iterable<T>): T[] => {
  const found: T[] = [];
  for (const step of steps) if (found.push(step) === 4) break;
  return found;
};

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
function exactOutlook(recipe: Recipe, data: RecipeData, configJson: ConfigJson): Outlook {
  const plan = new Plan(recipe, data);
  const { objective, validation, lengths } = plan;
  const groups = validation.map((row) => objective.group(row));
  const evaluated = [...microBatches(groups, recipe.batch.tokensPerMicroBatch)].map((some) =>
    packLayout(packGroups(some)),
  );
  return {
    rows: plan.rows.length,
    totalSteps: plan.totalSteps,
    rule: plan.rule,
    steps: (processes) => layouts(dividedPlan(recipe, data, processes)),
    validation: evaluated,
    prompts: answeredPrompts(recipe, groups),
    held: {
      rows: plan.rows.length + validation.length,
      tokens: [...lengths, ...evaluated.map(({ tokens }) => tokens)].reduce((sum, length) => sum + length, 0),
    },
    warnings: runWarnings(plan, { configJson, dtype: plan.dtypes.dtype }),
  };
}

/** A plan that has the passes of processes that make equally many; where nothing is divided they are left out later. */
function dividedPlan(recipe: Recipe, data: RecipeData, processes: number): Plan {
  return new Plan({ ...recipe, parallel: { ...recipe.parallel, shard: 'gradients' } }, data, processes);
}

/** The run as far as it can be told without its rows: one step of full rows. */
function assumedOutlook(recipe: Recipe, rows: Exclude<Rows, { from: 'reading' }>, lengths: Expected['rows']): Outlook {
  const { data, steps } = recipe;
  const count = 'train' in rows ? rows.train : undefined;
  const totalSteps =
    steps ?? (count === undefined ? undefined : stepCount(count, stepOptions(recipe, [{ rows: count, weight: 1 }])));
  const rule =
    totalSteps === undefined || recipe.method === 'sft' ? undefined : recipeRule(recipe.reference, totalSteps);
  return {
    rows: count,
    totalSteps,
    rule,
    steps: (processes) => layouts(assumedPlan(recipe, rowLengths(data.maxLength, lengths), count, processes)),
    validation: [],
    prompts: Array.from({ length: recipe.evaluate.generate?.prompts ?? 0 }, () => Math.floor(data.maxLength / 2)),
    // How long the rows are is not known; what they take comes on top.
    held: { rows: 0, tokens: 0 },
    warnings: totalSteps === undefined ? [] : planWarnings(recipe, totalSteps, rule ?? { update: 'fixed' }),
  };
}

/** The lengths of a row that nobody has seen: half of the longest are prompt, unless more is known. */
function rowLengths(maxLength: number, { prompt, completion }: Partial<NonNullable<Expected['rows']>> = {}) {
  const prefix = Math.min(prompt ?? Math.floor(maxLength / 2), maxLength - 1);
  return { prefix, completion: Math.min(completion ?? maxLength, maxLength - prefix) };
}
