export { type ScoreOptions, type ScoreResult, score } from './score.js';
