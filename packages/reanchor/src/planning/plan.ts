import {
  groupTokens,
  type MicroBatch,
  type PlanOptions,
  planSteps,
  type RowPlace,
  type SourceShare,
  type StepPlan,
  stepCount,
} from '../data/index.js';
import type { Recipe } from '../recipe/index.js';
import type { UpdateRule } from '../reference/update-rule.js';
import type { LoggedRow, Objective } from '../train/objectives/objective.js';
import type { StepRules } from '../train/trainer-options.js';
import type { DataReport, RecipeData } from './data.js';
import { type PlannedDTypes, recipeDTypes } from './dtypes.js';
import { recipeObjective } from './objective.js';
import { recipeRule } from './rule.js';

/** The processes that share a run: how many there are, and which one this is, from 0. */
export interface World {
  rank: number;
  size: number;
}

const alone: World = { rank: 0, size: 1 };

/**
 * A run as it will be, before a weight is loaded: what it trains for, on which rows, in which steps. Everything follows
 * from recipe and rows, so that every process of a run has the same plan without asking another.
 */
export class Plan implements StepRules<RowPlace, LoggedRow> {
  readonly objective: Objective<RowPlace, LoggedRow>;
  readonly rows: readonly RowPlace[];
  readonly validation: readonly RowPlace[];
  readonly report: DataReport;
  /** The packed tokens of each row. */
  readonly lengths: readonly number[];
  readonly totalSteps: number;
  /** How the reference moves; `fixed` where there is none. */
  readonly rule: UpdateRule;
  readonly dtypes: PlannedDTypes;
  readonly maxGradNorm: number;
  readonly resetOptimizer: boolean;
  readonly activationCheckpointing: boolean;
  readonly #options: PlanOptions;

  constructor(
    readonly recipe: Recipe,
    data: Pick<RecipeData, 'train' | 'validation' | 'shares' | 'report'>,
  ) {
    const objective = recipeObjective(recipe);
    this.objective = objective;
    this.rows = data.train;
    this.validation = data.validation;
    this.report = data.report;
    this.lengths = this.rows.map((row) => groupTokens(objective.group(row)));
    this.#options = stepOptions(recipe, data.shares);
    this.totalSteps = stepCount(this.rows.length, this.#options);
    this.rule = objective.needsReference ? recipeRule(recipe.reference, this.totalSteps) : { update: 'fixed' };
    this.dtypes = recipeDTypes(recipe);
    this.maxGradNorm = recipe.maxGradNorm;
    this.resetOptimizer = 'resetOptimizer' in recipe.reference && recipe.reference.resetOptimizer === true;
    this.activationCheckpointing = recipe.activationCheckpointing;
  }

  /** The steps from step `from` on. Of several processes each has every `size`-th micro-batch of a step. */
  *steps(from = 1, { rank, size }: World = alone): Generator<StepPlan> {
    for (const step of planSteps(this.lengths, this.#options, from))
      yield size === 1 ? step : { ...step, microBatches: step.microBatches.filter((_, i) => i % size === rank) };
  }

  /** The micro-batches of a step. */
  layOut(step: StepPlan): MicroBatch[] {
    return this.objective.layOut(step, this.rows);
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
