import {
  groupTokens,
  type MicroBatch,
  type PlanOptions,
  planSteps,
  type RowPlace,
  type Rows,
  type SourceShare,
  type StepPlan,
  stepCount,
} from '../data/index.js';
import type { Dropout } from '../nn/dropout.js';
import type { Recipe } from '../recipe/index.js';
import type { UpdateRule } from '../reference/update-rule.js';
import type { LoggedRow, Objective } from '../train/objectives/objective.js';
import type { StepRules } from '../train/trainer-options.js';
import type { AdapterAverage } from '../weights/weights.js';
import { recipeAverage } from './adapter.js';
import type { DataReport, RecipeData } from './data.js';
import { type PlannedDTypes, recipeDTypes } from './dtypes.js';
import { recipeObjective } from './objective.js';
import { recipeRule } from './rule.js';

/**
 * A run as it will be, before a weight is loaded: what it trains for, on which rows, in which steps. Everything follows
 * from recipe and rows, so that every process of a run has the same plan without asking another.
 */
export class Plan implements StepRules<RowPlace, LoggedRow> {
  readonly objective: Objective<RowPlace, LoggedRow>;
  readonly rows: Rows<RowPlace>;
  readonly validation: readonly RowPlace[];
  readonly report: DataReport;
  /** The packed tokens of each row. */
  readonly lengths: readonly number[];
  readonly totalSteps: number;
  /** How the reference moves; `fixed` where there is none. */
  readonly rule: UpdateRule;
  readonly dtypes: PlannedDTypes;
  /** How the reference averages adapters, where it does. */
  readonly average: AdapterAverage | undefined;
  readonly maxGradNorm: number;
  readonly resetOptimizer: boolean;
  readonly activationCheckpointing: boolean;
  readonly dropout: Dropout | undefined;
  readonly #options: PlanOptions;

  constructor(
    readonly recipe: Recipe,
    data: Pick<RecipeData, 'train' | 'validation' | 'shares' | 'report'>,
    /** The processes that share it. */
    readonly ranks = 1,
  ) {
    const objective = recipeObjective(recipe);
    this.objective = objective;
    this.rows = data.train;
    this.validation = data.validation;
    this.report = data.report;
    this.lengths = Array.from(this.rows, (row) => groupTokens(objective.group(row)));
    this.#options = { ...stepOptions(recipe, data.shares), ranks };
    this.totalSteps = stepCount(this.rows.length, this.#options);
    this.rule = objective.needsReference ? recipeRule(recipe.reference, this.totalSteps) : { update: 'fixed' };
    this.dtypes = recipeDTypes(recipe);
    this.average = recipeAverage(recipe, this.rule);
    this.maxGradNorm = recipe.maxGradNorm;
    this.resetOptimizer = 'resetOptimizer' in recipe.reference && recipe.reference.resetOptimizer === true;
    this.activationCheckpointing = recipe.activationCheckpointing;
    const probability = recipe.adapter?.dropout ?? 0;
    this.dropout = probability > 0 ? { probability, seed: recipe.seed } : undefined;
  }

  /** The steps from step `from` on. */
  steps(from = 1): Generator<StepPlan> {
    return planSteps(this.lengths, this.#options, from);
  }

  /** The micro-batches of a step, those of all processes. */
  layOut(step: StepPlan): MicroBatch[] {
    const microBatches = this.objective.layOut(step, this.rows);
    if (this.ranks === 1) return microBatches;
    const owned = microBatches.map((batch, i) => ({ ...batch, owner: step.owners?.[i] }));
    const { shard } = this.recipe.parallel;
    return shard === 'gradients' || shard === 'parameters' ? [...owned, ...fillers(owned, this.ranks)] : owned;
  }
}

/** How a recipe's steps are cut from rows of some sources. */
export function stepOptions(
  { batch, data, epochs, steps, seed }: Recipe,
  sources: readonly SourceShare[],
): PlanOptions {
  const { size: batchSize, tokensPerMicroBatch, rowsPerMicroBatch } = batch;
  return { batchSize, tokensPerMicroBatch, rowsPerMicroBatch, epochs, steps, seed, shuffle: data.shuffle, sources };
}

/**
 * Passes for processes with fewer micro-batches than others: where each pass sends gradients or brings parameters, all
 * processes have to make equally many.
 */
function fillers(owned: readonly MicroBatch[], ranks: number): MicroBatch[] {
  const counts = Array.from({ length: ranks }, (_, rank) => owned.filter(({ owner }) => owner === rank).length);
  const most = Math.max(...counts);
  const shortest = owned.reduce((best, one) => (tokensOf(one) < tokensOf(best) ? one : best));
  return counts.flatMap((count, owner) =>
    Array.from({ length: most - count }, () => ({ ...shortest, owner, isFiller: true })),
  );
}

const tokensOf = ({ policy }: MicroBatch) => policy.tokens.length;
