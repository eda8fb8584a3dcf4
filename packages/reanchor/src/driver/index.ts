export { configureProcess, type ProcessSettings } from './process.js';
export { type TrainOptions, type TrainResult, train } from './train.js';
