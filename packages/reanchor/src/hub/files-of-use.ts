/** Files of a model besides its weights that are of use where they exist. */
const names = [
  'generation_config.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'added_tokens.json',
  'chat_template.jinja',
  'chat_template.json',
  'tokenizer.model',
  'vocab.json',
  'merges.txt',
];

/** Whether a file of a repository is of use to who has the weights, though none has to have it. */
export const isOfUse = (path: string): boolean =>
  names.includes(path) || /^additional_chat_templates\/[^/]+\.jinja$/.test(path);
