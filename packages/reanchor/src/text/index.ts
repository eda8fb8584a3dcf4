export {
  ChatTemplate,
  type ChatTemplateParts,
  type ContentPart,
  loadChatTemplate,
  type Message,
  modelChatTemplate,
  reservedVariables,
  type TemplateInput,
  withTemplatesOf,
} from './chat-template.js';
export { encodingFrom } from './encoding-from.js';
export { fail, printedForms, TemplateError } from './jinja/index.js';
export { writtenMoments } from './template-dates.js';
export { TimeLimitError, withinTime } from './time-limit.js';
export { tokenTexts } from './token-texts.js';
export { loadTokenizer, parseTokenizer, type Tokenizer, type TokenizerOrigin, tokenizerOf } from './tokenizer.js';
export { trainBpe } from './train-bpe.js';
