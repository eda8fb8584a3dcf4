export { checkpointLogps, type LogpsOptions, type LogpsResult, type ModelLogps } from './logps/logps.js';
export { type ScoreOptions, type ScoreResult, score } from './score.js';
