export {
  exampleMicroBatch,
  type MicroBatch,
  pairMicroBatch,
  textMicroBatch,
} from './micro-batch.js';
export {
  microBatches,
  type PlanOptions,
  planSteps,
  type StepPlan,
  splitRows,
  stepCount,
  stepsPerEpoch,
} from './order.js';
export {
  type Group,
  groupTokens,
  type PackedBatch,
  packGroups,
  packPairs,
  pairGroup,
  pairTokens,
  type Span,
  scoredTokens,
} from './pack.js';
export { choosePartners, type PartnerOptions } from './partners.js';
export { shuffled, uniforms } from './random.js';
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
  type TokenizedExample,
  type TokenizedPair,
  type TokenizedText,
  type TokenizeOptions,
  tokenizePair,
  tokenizePairs,
} from './tokenize.js';
