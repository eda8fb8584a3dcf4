import type { RowPlace } from '../data/index.js';
import { type HubOptions, modelFolder } from '../hub/index.js';
import type { Recipe } from '../runs/index.js';
import { loadTokenizer, type Tokenizer } from '../text/tokenizer.js';
import { type RecipeData, recipeData } from './recipe-data.js';

/** A token as text, and whether the loss scores it. */
export interface ShownToken {
  text: string;
  isScored: boolean;
}

/** A row as the model sees it: the prompt, then each completion. */
export interface RowTokens extends RowPlace {
  parts: { name: string; tokens: ShownToken[] }[];
}

/**
 * The first `rows` rows of a recipe's training data, token by token, and what has to be said about the data. Nothing is
 * trained, and of the model only the tokenizer is read. Errors: those of `recipeData`.
 */
export async function rowTokens(
  recipe: Recipe,
  rows: number,
  { onDownload }: Pick<HubOptions, 'onDownload'> = {},
): Promise<{ rows: RowTokens[]; notes: string[] }> {
  const notes: string[] = [];
  const hub: HubOptions = { onDownload, onNote: (note) => notes.push(note) };
  const tokenizer = await loadTokenizer(await modelFolder(recipe.model, { ...hub, weights: false }));
  const { validation: _held, ...data } = recipe.data;
  const shown = await recipeData(
    { ...recipe, data: { ...data, limit: Math.min(rows, data.limit ?? rows) } },
    tokenizer,
    hub,
  );
  notes.push(...shown.report.notes);
  for (const { byReason } of shown.report.skips) {
    for (const [reason, places] of byReason) {
      for (const { file, line } of places) notes.push(`${file}:${line} is skipped: ${reason}`);
    }
  }
  return { rows: partsOf(shown, tokenizer), notes };
}

function partsOf(data: RecipeData, tokenizer: Tokenizer): RowTokens[] {
  const part = (name: string, ids: Int32Array, isScored: (i: number) => boolean) => ({
    name,
    tokens: [...ids].map((id, i) => ({ text: tokenizer.decode([id]), isScored: isScored(i) })),
  });
  const all = () => true;
  const none = () => false;
  const place = ({ index, line, file }: RowPlace) => ({ index, line, file });
  switch (data.kind) {
    case 'pairs':
      return data.train.map((row) => ({
        ...place(row),
        parts: [part('prompt', row.prompt, none), part('chosen', row.chosen, all), part('rejected', row.rejected, all)],
      }));
    case 'unpaired':
      return data.train.map((row) => ({
        ...place(row),
        parts: [part('prompt', row.prompt, none), part(row.label ? 'desirable' : 'undesirable', row.completion, all)],
      }));
    case 'sft':
      return data.train.map((row) => ({
        ...place(row),
        parts: [
          part('prompt', row.prompt, none),
          // After an empty prompt nothing predicts the first token.
          part('text', row.completion, (i) => (row.scored?.[i] ?? 1) === 1 && (i > 0 || row.prompt.length > 0)),
        ],
      }));
  }
}
