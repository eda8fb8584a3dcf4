export { AdamW, type AdamWOptions } from './adamw.js';
export { clipGradNorm_ } from './clip.js';
export { learningRateFactor, type ScheduleOptions } from './schedule.js';
