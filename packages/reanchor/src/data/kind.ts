import type { Recipe } from '../recipe/index.js';
import type { DataKind } from './row.js';

/** What the method of a recipe is trained on. */
export function kindOf({ method }: Pick<Recipe, 'method'>): DataKind {
  if (method === 'sft') return 'sft';
  return method === 'kto' ? 'unpaired' : 'pairs';
}
