/** Many runs of one study: arms, seeds and stages, in processes of their own, and what came of them. */
export { loadBeginnings, loadPassages } from './corpus.js';
export { type Gold, loadGold } from './gold.js';
export type { PoolState } from './pool.js';
export { type SettingSummary, summarise } from './results.js';
export { settingsOf } from './settings.js';
export { readStudy } from './study.js';
export { type SweepResult, sweep } from './sweep.js';
