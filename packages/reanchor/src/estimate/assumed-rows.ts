/** Rows that stand for those that nobody has seen. */
import { type DataKind, kindOf } from '../data/index.js';
import type { RecipeData } from '../planning/data.js';
import { Plan } from '../planning/plan.js';
import type { Recipe } from '../recipe/index.js';

/** The tokens of a row's prompt, and of each of its completions. */
export interface RowLengths {
  prefix: number;
  completion: number;
}

/** Rows of equal lengths, every token of whose completions is scored. No two of them are alike. */
function assumedRows(kind: DataKind, count: number, { prefix, completion }: RowLengths): RecipeData['train'] {
  const tokens = (length: number, id: number) => new Int32Array(length).fill(id);
  const rows = Array.from({ length: count }, (_, index) => ({
    ...{ index, line: index + 1, file: '', boundaryMismatch: false },
    prompt: tokens(prefix, index),
    completion: tokens(completion, index),
    label: index % 2 === 0,
  }));
  if (kind !== 'pairs') return rows;
  return rows.map((row, i) => ({ ...row, chosen: row.completion, rejected: tokens(completion, count + i) }));
}

/**
 * The plan of a step whose rows nobody has seen, as many as there are of them at most. Losses borrow no neighbour that
 * full rows would not leave them.
 */
export function assumedPlan(recipe: Recipe, lengths: RowLengths, most: number | undefined, ranks: number): Plan {
  const kind = kindOf(recipe);
  const size = Math.min(recipe.batch.size, most ?? recipe.batch.size);
  // A row needs another one to take a completion from.
  const train = assumedRows(kind, kind === 'unpaired' ? Math.max(2, size) : size, lengths);
  const oneStep: Recipe = {
    ...recipe,
    ...{ steps: 1, batch: { ...recipe.batch, size }, loss: { ...recipe.loss, partners: undefined } },
    // Which rows are longest is not known, and each is as long as it may be.
    data: { ...recipe.data, shuffle: false },
  };
  const data = { train, validation: [], shares: [{ rows: train.length, weight: 1 }], report: noReport };
  return new Plan(oneStep, data, ranks);
}

const noReport = { skips: [], notes: [], emptyPromptTokens: 0 };
