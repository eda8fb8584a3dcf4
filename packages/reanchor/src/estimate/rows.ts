/** The rows of a recipe as far as they are at hand: read and tokenised, counted, as published, or not known. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { isLocalSource, kindOf, loadRows, publishedRows, resolveSources } from '../data/index.js';
import { type RecipeData, recipeData } from '../planning/data.js';
import type { Recipe } from '../recipe/index.js';
import { loadTokenizer } from '../text/index.js';

export type Rows =
  | { from: 'reading'; data: RecipeData }
  /** Rows as they stand in the files, or as they are published: some of them may be of no use. */
  | { from: 'counting' | 'publication'; train: number }
  | { from: 'nothing' };

/** Errors: those of `recipeData` for rows that are at hand. */
export async function rowsAtHand(recipe: Recipe): Promise<Rows> {
  const { train, validation } = recipe.data;
  const named = typeof validation === 'object' || typeof validation === 'string' ? [validation].flat() : [];
  const entries = [train].flat().map((entry) => (typeof entry === 'string' ? { source: entry, weight: 1 } : entry));
  const isHere = entries.every(({ source }) => isLocalSource(source));
  const hasTokenizer = existsSync(join(recipe.model, 'tokenizer.json'));
  if (isHere && hasTokenizer && named.every(isLocalSource)) {
    return { from: 'reading', data: await recipeData(recipe, await loadTokenizer(recipe.model)) };
  }
  const heldOut = typeof validation === 'number' ? validation : 0;
  const { format, limit = Number.POSITIVE_INFINITY } = recipe.data;
  const kind = kindOf(recipe);
  if (isHere) {
    const sources = await resolveSources(
      entries.map(({ source }) => source),
      'train',
    );
    let count = 0;
    for (const [i, source] of sources.entries()) {
      const rows = await loadRows(kind, source.records(), { format, limit, name: source.name });
      count += Math.round(rows.length * entries[i]!.weight);
    }
    return { from: 'counting', train: Math.max(0, Math.min(limit, count) - heldOut) };
  }
  const published = entries.map(({ source, weight }) => {
    const count = publishedRows(source, 'train');
    return count === undefined ? undefined : Math.round(count * weight);
  });
  if (published.some((count) => count === undefined)) return { from: 'nothing' };
  const records = Math.min(
    limit,
    published.reduce<number>((sum, count) => sum + count!, 0),
  );
  // The data sets that are known by name hold pairs, of which KTO makes two rows each.
  return { from: 'publication', train: Math.max(0, records * (kind === 'unpaired' ? 2 : 1) - heldOut) };
}
