/** Chat templates: Jinja programs of Hugging Face folders that turn messages into the text a model was taught with. */
import { Environment, parse, tokenize } from '@huggingface/jinja';
import { FormatError, UserError, unreadable } from '../errors.js';
import { readFile } from '../formats/regular-file.js';
import { BoundedInterpreter } from './bounded-interpreter.js';
import { builtInTemplates, isBuiltIn } from './built-in-templates.js';
import { TimeLimitError, withinTime } from './time-limit.js';
import type { Tokenizer } from './tokenizer.js';

export interface Message {
  /** system, user, assistant and the like. */
  role: string;
  content: string;
}

export interface ChatTemplateOptions {
  bosToken?: string | undefined;
  eosToken?: string | undefined;
  /** The name of the template in messages. */
  name?: string | undefined;
  /** The day that `strftime_now` tells. Default: today. */
  now?: Date | undefined;
}

type Program = ReturnType<typeof parse>;

/** Bytes of a template at most; the longest published ones have a tenth of it. */
const maxSize = 1 << 18;
/** Numbers that `range` gives at most. */
const maxRange = 1 << 16;

/** Milliseconds to read a template, and for one chat; usual are less than one. */
const maxMs = 1000;
/** A chat template that was read. It cannot reach files, the network or anything else but the values given to it. */
export class ChatTemplate {
  private constructor(
    private readonly program: Program,
    private readonly name: string,
    private readonly variables: Readonly<Record<string, unknown>>,
  ) {}

  /**
   * The template of a Jinja source. Errors: FormatError for one that is larger than 256 KiB or not Jinja as far as it
   * is supported.
   */
  static of(source: string, { bosToken, eosToken, name = 'chat template', now }: ChatTemplateOptions = {}) {
    if (Buffer.byteLength(source) > maxSize) {
      throw new FormatError(`a chat template of more than ${maxSize} bytes: is it another file?`, { file: name });
    }
    let program: Program;
    try {
      program = withinTime(maxMs, () => parse(tokenize(source, { lstrip_blocks: true, trim_blocks: true })));
    } catch (cause) {
      throw new FormatError(
        `not a chat template that can be read (${(cause as Error).message}): name another one with data.chatTemplate`,
        { file: name, cause },
      );
    }
    return new ChatTemplate(program, name, {
      bos_token: bosToken ?? '',
      eos_token: eosToken ?? '',
      tools: null,
      documents: null,
      ...constants,
      range: boundedRange,
      raise_exception: refuse,
      strftime_now: (format: string) => formatDate(now ?? new Date(), format),
    });
  }

  /**
   * The text of a chat; `addGenerationPrompt` ends it with what comes before the assistant's next answer. Errors: Error
   * with the words of the template when it refuses the messages (`raise_exception`) or cannot be computed; FormatError
   * for one that takes more than a second.
   */
  render(
    messages: readonly Message[],
    { addGenerationPrompt = false }: { addGenerationPrompt?: boolean } = {},
  ): string {
    const environment = new Environment();
    const given = { ...this.variables, messages, add_generation_prompt: addGenerationPrompt };
    for (const [name, value] of Object.entries(given)) environment.set(name, value);
    try {
      return withinTime(maxMs, () => String(new BoundedInterpreter(environment).run(this.program).value));
    } catch (cause) {
      if (!(cause instanceof TimeLimitError)) throw cause;
      throw new FormatError(`the chat template takes too long (${cause.message}): name another one`, {
        file: this.name,
        cause,
      });
    }
  }
}

/**
 * The template that a recipe names: `model` is that of the model's folder; `chatml`, `llama-3`, `zephyr`, `alpaca` and
 * `hh` are built in; else a file whose name ends in .jinja, or the Jinja text itself. `setting` is what messages call the
 * choice. Errors: UserError for a model
 * without template, a built-in one whose tokens the tokenizer lacks, an unknown name and an unreadable file;
 * FormatError of {@link ChatTemplate.of}.
 */
export async function loadChatTemplate(
  choice: string,
  tokenizer: Tokenizer,
  setting = 'data.chatTemplate',
): Promise<ChatTemplate> {
  const options = { bosToken: tokenizer.bosToken, eosToken: tokenizer.eosToken, name: choice };
  if (choice === 'model') return modelChatTemplate(tokenizer, setting);
  if (isBuiltIn(choice)) {
    const { source, tokens } = builtInTemplates[choice];
    const missing = tokens.find((token) => tokenizer.encode(token, { addSpecialTokens: false }).length !== 1);
    if (missing !== undefined) {
      throw new UserError(
        `the tokenizer has no token ${missing}, which chat template ${choice} needs: use ${freeTemplates.join(', ')} or another model`,
      );
    }
    return ChatTemplate.of(source, options);
  }
  if (choice.endsWith('.jinja')) {
    const source = await readFile(choice, 'utf8').catch((cause: Error) => {
      throw new UserError(`${unreadable(choice, cause)}: ${allowedChoices(setting)}`, { cause });
    });
    return ChatTemplate.of(source, options);
  }
  if (choice.includes('{{')) return ChatTemplate.of(choice, { ...options, name: setting });
  throw new UserError(`${choice} is not a chat template: ${allowedChoices(setting)}`);
}

/**
 * The chat template of a model's folder. Errors: UserError when it has none; FormatError of {@link ChatTemplate.of}.
 */
export function modelChatTemplate(tokenizer: Tokenizer, setting = 'data.chatTemplate'): ChatTemplate {
  const known = ofTokenizer.get(tokenizer);
  if (known) return known;
  const { chatTemplate, bosToken, eosToken } = tokenizer;
  if (chatTemplate === undefined) {
    throw new UserError(
      `the rows are chats, and the model's folder has no chat template (chat_template.jinja, or chat_template in tokenizer_config.json): ${allowedChoices(setting)}`,
    );
  }
  const template = ChatTemplate.of(chatTemplate, { bosToken, eosToken, name: "the model's chat template" });
  ofTokenizer.set(tokenizer, template);
  return template;
}
const ofTokenizer = new WeakMap<Tokenizer, ChatTemplate>();

/** The built-in templates that any tokenizer with an EOS token can say. */
const freeTemplates = Object.entries(builtInTemplates).flatMap(([name, { tokens }]) =>
  tokens.length === 0 ? [name] : [],
);
const allowedChoices = (setting: string) =>
  `name one with ${setting}: model, ${Object.keys(builtInTemplates).join(', ')}, a .jinja file, or Jinja text`;

/** Names that Jinja and Python give to the same values. */
const constants = { true: true, false: false, none: null, True: true, False: false, None: null };

function refuse(message: unknown): never {
  throw new Error(String(message));
}

function boundedRange(...given: unknown[]): number[] {
  const bounds = given.filter((bound) => typeof bound === 'number');
  const [start, stop, step] =
    bounds.length === 1 ? [0, bounds[0]!, 1] : [bounds[0] ?? 0, bounds[1] ?? 0, bounds[2] ?? 1];
  const length = Math.max(0, Math.ceil((stop - start) / step));
  if (!(length <= maxRange)) throw new Error(`range of more than ${maxRange} numbers`);
  return Array.from({ length }, (_, i) => start + i * step);
}

const months = 'January February March April May June July August September October November December'.split(' ');
const days = 'Sunday Monday Tuesday Wednesday Thursday Friday Saturday'.split(' ');

/** Python's strftime in English, whatever the machine's language, as far as templates use it. */
function formatDate(date: Date, format: string): string {
  const two = (number: number) => String(number).padStart(2, '0');
  const parts: Readonly<Record<string, string>> = {
    Y: String(date.getFullYear()),
    y: two(date.getFullYear() % 100),
    m: two(date.getMonth() + 1),
    d: two(date.getDate()),
    B: months[date.getMonth()]!,
    b: months[date.getMonth()]!.slice(0, 3),
    A: days[date.getDay()]!,
    a: days[date.getDay()]!.slice(0, 3),
    H: two(date.getHours()),
    M: two(date.getMinutes()),
    S: two(date.getSeconds()),
    '%': '%',
  };
  return format.replace(/%(.)/g, (all, name: string) => {
    if (parts[name] === undefined) throw new Error(`strftime_now does not know ${all}`);
    return parts[name];
  });
}
