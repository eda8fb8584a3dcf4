export { AdamW, type AdamWOptions } from './adamw.js';
export { clipGradNorm_ } from './clip.js';
export { learningRateFactor, learningRates, type ScheduleOptions } from './schedule.js';
