export { type Metrics, pairMetrics, stepMetrics } from './metrics.js';
export type { PairScores } from './pair-scores.js';
export { SelfCheckError } from './self-checks.js';
export { type TrainOptions, type TrainResult, train } from './train.js';
export { type StepResult, Trainer, type TrainerOptions } from './trainer.js';
