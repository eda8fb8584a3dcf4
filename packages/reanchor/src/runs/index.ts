/** What a run is made of and leaves behind: recipe, run folder, events. Loads no torch. */
export { type CheckpointOptions, timeMs } from './checkpoint-section.js';
export * from './checkpoints.js';
export {
  EventWriter,
  encodeEvent,
  eventSchema,
  type NewRunEvent,
  type ReadEvents,
  type RunEvent,
  readEvents,
} from './events.js';
export * from './folder.js';
export { type RecipeKey, recipeKey, recipeKeys } from './keys.js';
export { lockHolderState, lockName, lockRun } from './lock.js';
export type { LogOptions } from './log-section.js';
export { type ParseOptions, parseRecipe, readRecipe } from './parse.js';
export { type Recipe, type RecipeInput, type ReferenceOptions, recipeSchema, sizeBytes } from './recipe.js';
export { changeableKeys, type RecipeChange, recipeChanges, recipeHash } from './recipe-changes.js';
export {
  type EvaluationResult,
  evaluationResultSchema,
  mostResultBytes,
  type ToyResult,
  toyResultSchema,
} from './results.js';
export { completeEvents, hasMadeSteps, isFinished, newestRun, supersedeEvents } from './resume.js';
export { type RunText, runText, runTextOfModel, runTextOfModels, trainedModel } from './run-text.js';
export { localTimeOf, recipeDate, templateNow } from './template-now.js';
export type { CachedState, CopiedState, TrainingState } from './training-state.js';
export { concealing, recipeHere, textHere } from './variables.js';
export { packageVersion } from './version.js';
