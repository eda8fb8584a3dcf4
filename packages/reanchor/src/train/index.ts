export { type Metrics, pairMetrics, stepMetrics } from './metrics.js';
export { exampleObjective } from './objectives/examples.js';
export type { Objective } from './objectives/objective.js';
export { type PairScores, pairObjective } from './objectives/pairs.js';
export { textObjective } from './objectives/texts.js';
export { SelfCheckError } from './self-checks.js';
export { type TrainOptions, type TrainResult, train } from './train.js';
export { Trainer } from './trainer.js';
export type { StepResult, TrainerOptions } from './trainer-options.js';
