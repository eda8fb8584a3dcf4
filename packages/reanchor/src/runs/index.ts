/** What a run leaves behind: its folder, events, checkpoints, lock. Loads no torch. */
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
export { lockHolderState, lockName, lockRun } from './lock.js';
export {
  type EvaluationResult,
  evaluationResultSchema,
  mostResultBytes,
  type ToyResult,
  toyResultSchema,
} from './results.js';
export { completeEvents, hasMadeSteps, isFinished, newestRun, supersedeEvents } from './resume.js';
export { type RunText, runText, runTextOfModel } from './run-text.js';
export { localTimeOf, recipeDate, templateNow } from './template-now.js';
export type { CachedState, CopiedState, TrainingState } from './training-state.js';
export { packageVersion } from './version.js';
