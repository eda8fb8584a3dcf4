export { type GeneratedCompletion, type GenerateOptions, generate } from './generate.js';
export type { SamplingOptions } from './sample.js';
