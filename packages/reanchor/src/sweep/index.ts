/** Many runs of one study: arms, seeds and stages, in processes of their own, and what came of them. */
export { readAnswers } from './measure.js';
export type { PoolState } from './pool.js';
export { type ResultRow, type SettingSummary, summarise } from './results.js';
export { settingsOf } from './settings.js';
export { isStudyFile, parseStudy, readStudy } from './study.js';
export { estimateStudy, type StudyEstimate } from './study-estimate.js';
export { studyJsonSchema } from './study-json-schema.js';
export { type SweepOptions, type SweepResult, sweep } from './sweep.js';
