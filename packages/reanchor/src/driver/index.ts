export { type MergeOptions, type MergeResult, mergeAdapter } from './merge.js';
export { holdWorldStore, openWorld } from './open-world.js';
export type { TrainOptions, TrainResult, TrainRun } from './options.js';
export { configureProcess, type ProcessSettings } from './process.js';
export { train } from './train.js';
