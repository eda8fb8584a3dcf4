export {
  ChatTemplate,
  type ChatTemplateOptions,
  type ContentPart,
  loadChatTemplate,
  type Message,
  type MessageContent,
  modelChatTemplate,
  type RenderOptions,
  reservedVariables,
  type TemplateInput,
  withTemplatesOf,
} from './chat-template.js';
export { Float, fail, printedForms, TemplateError } from './jinja/index.js';
export { tokenTexts } from './token-texts.js';
export { loadTokenizer, parseTokenizer, type Tokenizer, type TokenizerSource } from './tokenizer.js';
export { trainBpe } from './train-bpe.js';
