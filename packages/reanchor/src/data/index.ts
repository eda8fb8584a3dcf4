export { encodePrompt, encodeRow } from './encode.js';
export { Fields } from './fields.js';
export { kindOf } from './kind.js';
export { messagesIn, textOf } from './message.js';
export { promptMessages } from './messages.js';
export {
  exampleMicroBatch,
  type MicroBatch,
  pairMicroBatch,
  textMicroBatch,
} from './micro-batch.js';
export {
  folderOf,
  foldersOf,
  type ModelPlace,
  type ModelPlaceOptions,
  modelPlace,
  placeOf,
  placeOfRun,
} from './model-place.js';
export {
  microBatches,
  type PlanOptions,
  planSteps,
  rowsPerEpoch,
  type SourceShare,
  type StepPlan,
  splitRows,
  stepCount,
  stepsPerEpoch,
} from './order.js';
export {
  completionTokens,
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
export { loadPrompts } from './prompts.js';
export type { Split } from './published.js';
export type {
  Content,
  DataKind,
  ExampleRow,
  PreferenceRow,
  PromptText,
  RawRecord,
  RowOf,
  RowPlace,
  Rows,
  SkipReason,
  TextRow,
} from './row.js';
export { loadPreferenceRows, loadRows, type RowFormat, type RowOptions, readPreferenceRows, readRows } from './rows.js';
export { modelOfRun, sourceOfRun } from './run-places.js';
export { addPlace, describeRemarks, describeSkips, type SkipReport } from './skips.js';
export { isLocalSource, publishedRows, resolveSources, Source, type SourceCounts, sourceRecords } from './sources.js';
export { promptColumns, systemOf, templateInput } from './template-input.js';
export {
  type TokenizedExample,
  type TokenizedOf,
  type TokenizedPair,
  type TokenizedText,
  type TokenizeOptions,
  tokenizeExample,
  tokenizePair,
  tokenizePairs,
  tokenizeRows,
  tokenizeText,
} from './tokenize.js';
