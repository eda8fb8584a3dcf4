export {
  microBatches,
  type PlanOptions,
  planSteps,
  type StepPlan,
  splitRows,
  stepCount,
  stepsPerEpoch,
} from './order.js';
export { type Group, type PackedBatch, packGroups, packPairs, pairTokens, type Span } from './pack.js';
export { shuffled } from './random.js';
export {
  commonPrompt,
  loadPreferenceRows,
  type PreferenceFormat,
  type PreferenceRow,
  type RowPlace,
  readPreferenceRows,
  type SkipReason,
} from './rows.js';
export {
  describeBoundaryMismatches,
  describeSkips,
  type SkipReport,
  type TokenizedPair,
  type TokenizeOptions,
  tokenizePair,
  tokenizePairs,
} from './tokenize.js';
