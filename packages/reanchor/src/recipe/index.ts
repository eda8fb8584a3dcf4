/** The recipe: its keys and what they may be, how it is read, what of it may change. Loads no torch. */
export {
  changeableKeys,
  keyDigests,
  type RecipeChange,
  recipeChanges,
  recipeHash,
  seesMicroBatches,
} from './changes.js';
export { checkRecipe } from './check.js';
export { type CheckpointOptions, timeMs } from './checkpoint-section.js';
export { type FileKind, fileJsonSchema, recipeJsonSchema } from './json-schema.js';
export { type JsonSchema, type RecipeKey, recipeKey, recipeKeys, typeText } from './keys.js';
export { type Layer, mergedLayers, modelsNamed, studyLayers } from './layers.js';
export type { LogOptions } from './log-section.js';
export { nearest } from './nearest.js';
export { checkRecipeValue, type ParseOptions, parseRecipe, readRecipe } from './parse.js';
export { type Problem, pathText, problemsOf, rulesOf, unknownKeyMessage, valueAt } from './problems.js';
export { type Recipe, type RecipeInput, type ReferenceOptions, recipeSchema, sizeBytes } from './recipe.js';
export type { StopOptions } from './stop-section.js';
export { concealing, recipeHere, textHere } from './variables.js';
export { parseYaml, type YamlText } from './yaml.js';
