/** Chat templates: Jinja programs of Hugging Face folders that turn messages into the text a model was taught with. */
import { FormatError, UserError, unreadable } from '../errors.js';
import { isRecord, readFile } from '../formats/index.js';
import { builtInTemplates, isBuiltIn } from './built-in-templates.js';
import { fail, parseTemplate, render, type Template, type Variables } from './jinja/index.js';
import { templateFunctions } from './template-functions.js';
import { TimeLimitError, withinTime } from './time-limit.js';
import type { Tokenizer } from './tokenizer.js';

/** A message of a chat. All its fields reach the template. */
export interface Message {
  /** system, user, assistant and the like. */
  role: string;
  content?: MessageContent | undefined;
  /** Whatever else the row has: tool_calls, name, reasoning_content. */
  readonly [field: string]: unknown;
}

/** A text, or parts of which some are texts; null beside calls of tools. */
type MessageContent = string | null | readonly ContentPart[];
export interface ContentPart {
  readonly [field: string]: unknown;
}

/** What a chat is rendered with besides its messages, as transformers' `apply_chat_template` calls it. */
export interface TemplateInput {
  /** JSON schemas of functions. */
  tools?: readonly unknown[] | undefined;
  documents?: readonly unknown[] | undefined;
  /** Further variables of the template (`chat_template_kwargs`), which go before special tokens. */
  variables?: Variables | undefined;
}

export interface ChatTemplateOptions {
  bosToken?: string | undefined;
  eosToken?: string | undefined;
  /** All special tokens by their names (`pad_token`); without one of a name, that is undefined in the template. */
  specialTokens?: Readonly<Record<string, string>> | undefined;
  /** Another Jinja source, for chats with tools. */
  toolSource?: string | undefined;
  /** The name of the template in messages. */
  name?: string | undefined;
}

export interface RenderOptions extends TemplateInput {
  /** Ends the text with what comes before the assistant's next answer. */
  addGenerationPrompt?: boolean | undefined;
  /** The moment that `strftime_now` tells. Default: that of the call. */
  now?: Date | undefined;
}

/** Bytes of a template at most; the longest published ones have a tenth of it. */
const maxSize = 1 << 18;

/** Milliseconds to read a template, and for one chat; usual are less than one. */
const maxMs = 1000;

/** What transformers' `apply_chat_template` has arguments of its own for: no variables of a template. */
export const reservedVariables: readonly string[] = (
  'conversation messages tools documents chat_template add_generation_prompt continue_final_message tokenize padding ' +
  'truncation max_length return_tensors return_dict return_assistant_tokens_mask tokenizer_kwargs'
).split(' ');

/** What a template is made of: its Jinja source, and what else it was given. */
export type ChatTemplateParts = readonly [source: string, options: ChatTemplateOptions];

/** A chat template that was read. It cannot reach files, the network or anything else but the values given to it. */
export class ChatTemplate {
  private constructor(
    /** The Jinja text. */
    readonly source: string,
    private readonly template: Template,
    private readonly forTools: Template,
    private readonly name: string,
    private readonly variables: Variables,
    /** Of which {@link ChatTemplate.of} makes it again, in another thread say. */
    readonly parts: ChatTemplateParts,
  ) {}

  /**
   * The template of a Jinja source. Errors: FormatError for one that is larger than 256 KiB, is not Jinja, or uses what
   * is not supported.
   */
  static of(source: string, options: ChatTemplateOptions = {}): ChatTemplate {
    const { bosToken, eosToken, specialTokens, toolSource, name = 'chat template' } = options;
    const template = parsed(source, name);
    const forTools = toolSource === undefined ? template : parsed(toolSource, name);
    const tokens = { ...specialTokens, bos_token: bosToken ?? specialTokens?.bos_token };
    const variables = { ...tokens, eos_token: eosToken ?? specialTokens?.eos_token };
    return new ChatTemplate(source, template, forTools, name, variables, [source, options]);
  }

  /** Whether what it writes may depend on the day: whether it asks for `strftime_now`. */
  get usesDate(): boolean {
    return [this.template, this.forTools].some(({ names }) => names.has('strftime_now'));
  }

  /**
   * The text of a chat. Errors: TemplateError with the words of the template when it refuses the messages
   * (`raise_exception`), and with those of Python when it cannot be computed; FormatError for one that takes more than
   * a second.
   */
  render(messages: readonly Message[], options: RenderOptions = {}): string {
    const { addGenerationPrompt = false, tools = null, documents = null, variables = {}, now = new Date() } = options;
    const taken = Object.keys(variables).find((name) => reservedVariables.includes(name));
    if (taken !== undefined) {
      fail('TypeError', `chat_template_kwargs have no place for ${taken}, which has a meaning of its own`);
    }
    requireObjects('ValueError', 'tools', tools);
    requireObjects('TypeError', 'documents', documents);
    const given = { messages, tools, documents, add_generation_prompt: addGenerationPrompt };
    const all = { ...templateFunctions(() => now), ...this.variables, ...variables, ...given };
    const template = tools === null ? this.template : this.forTools;
    try {
      return withinTime(maxMs, () => render(template, all));
    } catch (cause) {
      if (!(cause instanceof TimeLimitError)) throw cause;
      throw new FormatError(`the chat template takes too long (${cause.message}): name another one`, {
        file: this.name,
        cause,
      });
    }
  }
}

function parsed(source: string, name: string): Template {
  if (Buffer.byteLength(source) > maxSize) {
    throw new FormatError(`a chat template of more than ${maxSize} bytes: is it another file?`, { file: name });
  }
  try {
    return withinTime(maxMs, () => parseTemplate(source));
  } catch (cause) {
    throw new FormatError(
      `not a chat template that can be read (${(cause as Error).message}): name another one with data.chatTemplate`,
      { file: name, cause },
    );
  }
}

/** Errors: those of transformers for what is no list of objects. */
function requireObjects(kind: 'ValueError' | 'TypeError', name: string, values: readonly unknown[] | null): void {
  if (values?.every(isRecord) === false) fail(kind, `${name} are a list of objects`);
}

/**
 * The template that a recipe names: `model` is that of the model's folder; `chatml`, `llama-3`, `zephyr`, `alpaca` and
 * `hh` are built in; else a file whose name ends in .jinja, or the Jinja text itself. `setting` is the option, or
 * the key of a recipe, that makes the choice. Errors: UserError for a model
 * without template, a built-in one whose tokens the tokenizer lacks, an unknown name and an unreadable file;
 * FormatError of {@link ChatTemplate.of}.
 */
export async function loadChatTemplate(
  choice: string,
  tokenizer: Tokenizer,
  setting = 'data.chatTemplate',
): Promise<ChatTemplate> {
  const options = { specialTokens: tokenizer.specialTokens, name: choice };
  if (choice === 'model') return modelChatTemplate(tokenizer, setting);
  if (isBuiltIn(choice)) {
    const { source, tokens } = builtInTemplates[choice];
    const missing = tokens.find((token) => tokenizer.encode(token, { addSpecialTokens: false }).length !== 1);
    if (missing !== undefined) {
      throw new UserError(
        `the tokenizer has no token ${missing}, which chat template ${choice} needs: use ${freeTemplates.join(', ')} or another model`,
      );
    }
    return ChatTemplate.of(addsBos(tokenizer) && !source.startsWith(bos) ? bos + source : source, options);
  }
  if (choice.endsWith('.jinja')) {
    const source = await readFile(choice, 'utf8').catch((cause: Error) => {
      throw new UserError((option) => `${unreadable(choice, cause)}: ${allowedChoices(option(setting))}`, { cause });
    });
    return ChatTemplate.of(source, options);
  }
  if (choice.includes('{{')) return ChatTemplate.of(choice, { ...options, name: setting });
  throw new UserError((option) => `${choice} is not a chat template: ${allowedChoices(option(setting))}`);
}

const bos = '{{ bos_token }}';

/**
 * Whether a tokenizer puts BOS in front of plain texts: then the chats of a built-in template begin with it as well.
 */
const addsBos = ({ encode, bosId }: Tokenizer) => bosId !== undefined && encode('')[0] === bosId;

/**
 * The chat template of a model's folder. Errors: UserError when it has none; FormatError of {@link ChatTemplate.of}.
 */
export function modelChatTemplate(tokenizer: Tokenizer, setting = 'data.chatTemplate'): ChatTemplate {
  const known = ofTokenizer.get(tokenizer);
  if (known) return known;
  const { chatTemplate, toolTemplate: toolSource, specialTokens } = tokenizer;
  if (chatTemplate === undefined) {
    throw new UserError(
      (option) =>
        `the rows are chats, and the model's folder has no chat template (chat_template.jinja, or chat_template in tokenizer_config.json): ${allowedChoices(option(setting))}`,
    );
  }
  const template = ChatTemplate.of(chatTemplate, { specialTokens, toolSource, name: "the model's chat template" });
  ofTokenizer.set(tokenizer, template);
  return template;
}
const ofTokenizer = new WeakMap<Tokenizer, ChatTemplate>();

/** A tokenizer whose chats go through the templates of another folder's, with the special tokens that those write. */
export const withTemplatesOf = (
  tokenizer: Tokenizer,
  { chatTemplate, toolTemplate, specialTokens }: Tokenizer,
): Tokenizer => ({ ...tokenizer, chatTemplate, toolTemplate, specialTokens });

/** The built-in templates that any tokenizer with an EOS token can say. */
const freeTemplates = Object.entries(builtInTemplates).flatMap(([name, { tokens }]) =>
  tokens.length === 0 ? [name] : [],
);
const allowedChoices = (option: string) =>
  `name one with ${option}: model, ${Object.keys(builtInTemplates).join(', ')}, a .jinja file, or Jinja text`;
