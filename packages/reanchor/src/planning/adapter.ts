import type { NewAdapterOptions } from '../models/new-adapter.js';
import type { Recipe } from '../recipe/index.js';
import type { UpdateRule } from '../reference/update-rule.js';
import type { AdapterAverage } from '../weights/weights.js';

/** The adapter that a recipe describes, with what holds where it says nothing; its targets are not looked for yet. */
export function recipeAdapter({ adapter, seed }: Pick<Recipe, 'adapter' | 'seed'>): NewAdapterOptions {
  const { type = 'lora', r = 16, alpha = 2 * r, targets = 'all-linear', ...rest } = adapter!;
  const { rslora = false, dropout = 0, init = 'kaiming', modulesToSave = [] } = rest;
  return { type, r, alpha, targets, rslora, dropout, init, modulesToSave, seed };
}

/**
 * How the reference of a recipe averages adapters; undefined where it copies them alone, which is exact in any case.
 */
export function recipeAverage(
  { adapter, reference }: Pick<Recipe, 'adapter' | 'reference'>,
  rule: UpdateRule,
): AdapterAverage | undefined {
  if (!adapter) return undefined;
  const movesByParts = 'alpha' in rule && rule.alpha > 0 && (rule.alpha < 1 || rule.alphaWarmup !== undefined);
  if (!movesByParts) return undefined;
  const { average: form, rank } = reference as Extract<Recipe['reference'], { update: 'soft' | 'mixed' }>;
  return { form, rank };
}
