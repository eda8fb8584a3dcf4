export { AdamW, type AdamWOptions } from './adamw.js';
export { AdamW8bit } from './adamw-8bit.js';
export { clipFactor, clipGradNorm_, gradNorm } from './clip.js';
export { FusedAdamW } from './fused-adamw.js';
export type { Optimizer } from './optimizer.js';
export { learningRateFactor, learningRates, type ScheduleOptions } from './schedule.js';
