export {
  ChatTemplate,
  type ChatTemplateOptions,
  loadChatTemplate,
  type Message,
  modelChatTemplate,
} from './chat-template.js';
export { loadTokenizer, parseTokenizer, type Tokenizer, type TokenizerSource } from './tokenizer.js';
