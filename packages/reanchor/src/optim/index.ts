export { AdamW, type AdamWOptions } from './adamw.js';
export { AdamW8bit } from './adamw-8bit.js';
export { clipGradNorm_ } from './clip.js';
export type { Optimizer } from './optimizer.js';
export { learningRateFactor, learningRates, type ScheduleOptions } from './schedule.js';
