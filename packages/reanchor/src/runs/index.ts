/// <reference types="node" preserve="true" />
/** What a run leaves behind: its folder, events, checkpoints, lock. Loads no torch. */
export * from './checkpoints.js';
export { EventWriter } from './event-writer.js';
export {
  encodeEvent,
  eventSchema,
  type NewRunEvent,
  type ReadEvents,
  type RunEvent,
  readEvents,
} from './events.js';
export { fileSizes, finalState } from './final-state.js';
export * from './folder.js';
export { HeldFolder, LostFolder } from './held-folder.js';
export { lockHolderState, lockName, lockRun } from './lock.js';
export {
  mostResultBytes,
  type ToyResult,
  toyResultSchema,
  type WinRateDocument,
  winRateDocumentSchema,
} from './results.js';
export { completeEvents, hasMadeSteps, newestRun, supersedeEvents } from './resume.js';
export { type RunText, runText, runTextOfModel, runTextOfModels, trainedModel } from './run-text.js';
export { localTimeOf, recipeDate, templateNow } from './template-now.js';
export type { CachedState, CopiedState, TrainingState } from './training-state.js';
