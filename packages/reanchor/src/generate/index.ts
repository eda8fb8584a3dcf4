export { type Answer, type AnswerOptions, Conversation, type ConversationOptions } from './conversation.js';
export {
  drawnTokens,
  type GenerateOptions,
  type GenerateProgress,
  generate,
} from './generate.js';
export { type CompletionLine, type GenerateFileOptions, generateFile, readPrompts } from './generate-file.js';
export { PrefixCache } from './prefix-cache.js';
export type { SamplingOptions } from './sample.js';
export { stopTokens } from './stop-tokens.js';
export { streamText } from './stream-text.js';
export type { GeneratedCompletion } from './text.js';
export {
  type CompleteOptions,
  loadGenerators,
  type Prompt,
  type TextCompletion,
  TextGenerator,
  type TextGeneratorOptions,
} from './text-generator.js';
