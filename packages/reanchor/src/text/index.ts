export {
  ChatTemplate,
  type ChatTemplateOptions,
  type ContentPart,
  loadChatTemplate,
  type Message,
  type MessageContent,
  modelChatTemplate,
  type RenderOptions,
  withTemplatesOf,
} from './chat-template.js';
export { Float } from './jinja/index.js';
export { loadTokenizer, parseTokenizer, type Tokenizer, type TokenizerSource } from './tokenizer.js';
