/** The rows of a recipe as far as they are at hand: read and tokenised, counted, as published, or not known. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type DataKind, loadRows, publishedRows, resolveSources, sourceRecords } from '../data/index.js';
import { UserError } from '../errors.js';
import type { Recipe } from '../runs/index.js';
import { loadTokenizer } from '../text/tokenizer.js';
import { type RecipeData, recipeData } from '../train/recipe-data.js';

export type Rows =
  | { from: 'reading'; data: RecipeData }
  /** Rows as they stand in the files, or as they are published: some of them may be of no use. */
  | { from: 'counting' | 'publication'; train: number }
  | { from: 'nothing' };

/** Errors: those of `recipeData` for rows that are at hand. */
export async function rowsAtHand(recipe: Recipe): Promise<Rows> {
  const { train, validation } = recipe.data;
  const named = typeof validation === 'object' || typeof validation === 'string' ? [validation].flat() : [];
  const files = await filesAtHand([train].flat(), 'train');
  const hasTokenizer = existsSync(join(recipe.model, 'tokenizer.json'));
  if (files && hasTokenizer && (await filesAtHand(named, 'validation'))) {
    return { from: 'reading', data: await recipeData(recipe, await loadTokenizer(recipe.model)) };
  }
  const heldOut = typeof validation === 'number' ? validation : 0;
  const { format, limit = Number.POSITIVE_INFINITY } = recipe.data;
  const kind = kindOf(recipe);
  if (files) {
    const rows = await loadRows(kind, sourceRecords(files), { format, limit, name: files.join(', ') });
    return { from: 'counting', train: Math.max(0, rows.length - heldOut) };
  }
  const published = [train].flat().map((name) => publishedRows(name, 'train'));
  if (published.some((count) => count === undefined)) return { from: 'nothing' };
  const records = Math.min(
    limit,
    published.reduce<number>((sum, count) => sum + count!, 0),
  );
  // The data sets that are known by name hold pairs, of which KTO makes two rows each.
  return { from: 'publication', train: Math.max(0, records * (kind === 'unpaired' ? 2 : 1) - heldOut) };
}

export function kindOf({ method }: Recipe): DataKind {
  if (method === 'sft') return 'sft';
  return method === 'kto' ? 'unpaired' : 'pairs';
}

/** The files that names stand for; undefined where one of them is not there. */
async function filesAtHand(names: readonly string[], split: 'train' | 'validation'): Promise<string[] | undefined> {
  try {
    const files = (await resolveSources(names, split)).flatMap((source) => source.files);
    return files.every((file) => existsSync(file)) ? files : undefined;
  } catch (error) {
    if (error instanceof UserError) return undefined;
    throw error;
  }
}
