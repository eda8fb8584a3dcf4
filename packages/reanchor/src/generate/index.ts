export { type GeneratedCompletion, type GenerateOptions, generate } from './generate.js';
export { type GenerateFileOptions, generateFile, streamText } from './generate-file.js';
export type { SamplingOptions } from './sample.js';
