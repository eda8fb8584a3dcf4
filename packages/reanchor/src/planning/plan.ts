import type { PlanOptions, SourceShare } from '../data/index.js';
import type { Recipe } from '../recipe/index.js';

/** The plan of a recipe's steps on rows of sources. */
export function planOf({ batch, data, epochs, steps, seed }: Recipe, sources: readonly SourceShare[]): PlanOptions {
  const { size: batchSize, tokensPerMicroBatch, rowsPerMicroBatch } = batch;
  return { batchSize, tokensPerMicroBatch, rowsPerMicroBatch, epochs, steps, seed, shuffle: data.shuffle, sources };
}
