import type { SkipReport, TokenizedExample, TokenizedPair, TokenizedText } from '../data/index.js';
import type { Recipe } from '../runs/index.js';
import type { Tokenizer } from '../text/tokenizer.js';
import { recipePairs } from './recipe-pairs.js';

/** What became of the rows of a recipe. */
export interface DataReport {
  skips: SkipReport[];
  /** What is worth a warning, in sentences. */
  notes: string[];
  /** The tokens of an empty prompt: 1 where the tokenizer puts BOS in front. */
  emptyPromptTokens: number;
}

interface Rows<Kind extends string, Row> {
  kind: Kind;
  train: Row[];
  validation: Row[];
  report: DataReport;
}

/** The rows a recipe trains and evaluates on, of the kind that its method needs. */
export type RecipeData = Rows<'pairs', TokenizedPair> | Rows<'unpaired', TokenizedExample> | Rows<'sft', TokenizedText>;

/**
 * Reads and tokenises the rows that `data:` of a recipe names. Errors: UserError when nothing is left to train on;
 * FormatError.
 */
export async function recipeData(recipe: Recipe, tokenizer: Tokenizer): Promise<RecipeData> {
  const { train, validation, reports, emptyPromptTokens } = await recipePairs(recipe, tokenizer);
  const report = { skips: reports, notes: [], emptyPromptTokens };
  switch (recipe.method) {
    case 'sft':
      return { kind: 'sft', train: train.map(chosenText), validation: validation.map(chosenText), report };
    case 'kto':
      return {
        kind: 'unpaired',
        train: train.flatMap(bothExamples),
        validation: validation.flatMap(bothExamples),
        report,
      };
    default:
      return { kind: 'pairs', train, validation, report };
  }
}

const chosenText = ({ chosen, rejected: _, ...row }: TokenizedPair): TokenizedText => ({ ...row, completion: chosen });

const bothExamples = ({ chosen, rejected, ...row }: TokenizedPair): TokenizedExample[] => [
  { ...row, completion: chosen, label: true },
  { ...row, completion: rejected, label: false },
];
