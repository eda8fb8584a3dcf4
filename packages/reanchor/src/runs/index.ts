/** What a run is made of and leaves behind: recipe, run folder, events. Loads no torch. */
export * from './events.js';
export * from './folder.js';
export { type RecipeKey, recipeKey, recipeKeys } from './keys.js';
export type { LogOptions } from './log-section.js';
export { type ParseOptions, parseRecipe, readRecipe } from './parse.js';
export { type Recipe, type RecipeInput, type ReferenceOptions, recipeSchema, sizeBytes } from './recipe.js';
export {
  type EvaluationResult,
  evaluationResultSchema,
  mostResultBytes,
  type ToyResult,
  toyResultSchema,
} from './results.js';
export { packageVersion } from './version.js';
