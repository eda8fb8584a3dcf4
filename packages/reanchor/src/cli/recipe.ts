import type { Recipe } from '../recipe/index.js';
import { concealing, type ParseOptions, readRecipe } from '../recipe/index.js';
import type { Terminal } from './terminal.js';

/**
 * The recipe in a file. From then on the terminal prints `${NAME}` in the place of what its variables stand for.
 * Errors: those of `readRecipe`.
 */
export function recipeFor(terminal: Terminal, file: string, options: ParseOptions): Recipe {
  const recipe = readRecipe(file, options);
  terminal.conceal(concealing(recipe));
  return recipe;
}
