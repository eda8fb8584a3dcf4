/** A prompt and its completions as token ids: plain text, or chats that a template turns into text. */
import { FormatError, UserError } from '../errors.js';
import { type ChatTemplate, type Message, modelChatTemplate, type RenderOptions } from '../text/chat-template.js';
import type { Tokenizer } from '../text/tokenizer.js';
import { isLearnt, textOf } from './message.js';
import { completionMessages, isEmpty, promptMessages, repeatsPrompt } from './messages.js';
import type { Content, PromptText, SkipReason } from './row.js';

/** Token ids of a prompt and of each completion of it. */
export interface Encoded {
  prompt: number[];
  completions: Completion[];
  /** How many ids at the start are there in every text (BOS). */
  numStart: number;
  /** Whether the ids of each joint text begin with those of the prompt alone. */
  isCleanCut: boolean;
}

export interface Completion {
  ids: number[];
  /** Where the answers in it begin and end, and which are to be learnt; left out where the whole of it is one. */
  answers?: readonly Answer[] | undefined;
}

/** An answer of the assistant among ids. */
export interface Answer {
  start: number;
  end: number;
  isLearnt: boolean;
}

export type Skipped = { skipped: SkipReason };

export interface EncodeOptions {
  /** The template of all rows; left out, texts stay as they are and chats take the model's own. */
  template?: ChatTemplate | undefined;
  /** The moment that templates tell as now. Default: that of the call. */
  now?: Date | undefined;
  /** Finds the answers in completions of several messages; where messages are not to be learnt it is done in any case. */
  findsAnswers?: boolean | undefined;
}

/**
 * The ids of a prompt and its completions. The prompt is tokenised alone and with each completion; the completion's ids
 * are those of the joint text after as many as the prompt alone has (TRL).
 *
 * - Plain text: the EOS string is appended to each completion that does not end with it; special tokens that the tokenizer
 *   adds (BOS) are part of the prompt.
 * - Chats, or anything once a template is given: texts are rendered, the prompt with what comes before the next answer.
 *   Nothing is added to what the template writes, BOS neither (TRL).
 *
 * Skipped are empty completions, whole texts that a template is to make chats of, and chats that it refuses or whose
 * prompt it writes otherwise when an answer follows. Errors: UserError for a tokenizer without EOS, and for chats without
 * a template.
 */
export function encodeRow(
  row: PromptText,
  completions: readonly Content[],
  tokenizer: Tokenizer,
  { template, now, findsAnswers = false }: EncodeOptions = {},
): Encoded | Skipped {
  const { prompt } = row;
  if (template === undefined && typeof prompt === 'string') {
    return encodeTexts(prompt, completions.map(String), tokenizer);
  }
  if (completions.some(isEmpty)) return { skipped: 'empty completion' };
  if (typeof prompt === 'string' && prompt.trim() === '') return { skipped: 'no prompt for the chat template' };
  const start = promptMessages(row);
  const answers = completions.map(completionMessages);
  const isAnswered = findsAnswers || !answers.flat().every(isLearnt);
  const chat = new ChatTexts(template ?? modelChatTemplate(tokenizer), { ...row.input, now }, tokenizer);
  const found = chat.encode(start, answers, isAnswered);
  const isRepeated = 'skipped' in found && isOfTemplate(found.skipped) && repeatsPrompt(prompt, completions);
  return isRepeated ? { skipped: 'the answers begin with the whole prompt, which then stands twice' } : found;
}

const isOfTemplate = (reason: SkipReason) => reason.startsWith('the chat template');

function encodeTexts(prompt: string, given: readonly string[], tokenizer: Tokenizer): Encoded | Skipped {
  const eos = tokenizer.eosToken;
  if (eos === undefined) {
    throw new UserError(
      'the tokenizer has no EOS token, which ends each completion: set eos_token in tokenizer_config.json',
    );
  }
  const texts = given.map((text) => (text.endsWith(eos) ? text.slice(0, -eos.length) : text));
  if (texts.some(isEmpty)) return { skipped: 'empty completion' };
  const wholes = texts.map((text) => encodePlain(prompt + text + eos, tokenizer));
  return split(encodePlain(prompt, tokenizer), wholes, tokenizer);
}

/**
 * The ids of a prompt alone, for a completion to be written: those that {@link encodeRow} gives it in front of one.
 * Errors: UserError for a chat without a template, or that the template refuses, and for a prompt without tokens.
 */
export function encodePrompt(
  row: PromptText,
  tokenizer: Tokenizer,
  { template, now }: Pick<EncodeOptions, 'template' | 'now'> = {},
): number[] {
  const { prompt } = row;
  let ids: number[];
  if (template === undefined && typeof prompt === 'string') {
    ids = encodePlain(prompt, tokenizer);
  } else {
    if (prompt.length === 0) throw new UserError('the chat has no messages');
    const chat = new ChatTexts(template ?? modelChatTemplate(tokenizer), { ...row.input, now }, tokenizer);
    try {
      ids = chat.ids(chat.render(promptMessages(row), true));
    } catch (cause) {
      if (cause instanceof FormatError) throw cause;
      throw new UserError(`the chat template refuses it (${(cause as Error).message.slice(0, 200)})`, { cause });
    }
  }
  if (ids.length > 0) return ids;
  // Without a token there is nothing to go on from; BOS is what texts begin with.
  if (tokenizer.bosId === undefined) throw new UserError('the prompt is empty, and the tokenizer has no BOS token');
  return [tokenizer.bosId];
}

/** Wholes after as many ids as the prompt alone has. */
function split(prompt: number[], wholes: readonly number[][], tokenizer: Tokenizer): Encoded | Skipped {
  const numStart = startOf(prompt, tokenizer);
  if (numStart === 2) return twoStarts;
  const isCleanCut = wholes.every((ids) => prompt.every((id, i) => ids[i] === id));
  const completions = wholes.map((ids) => ({ ids: ids.slice(prompt.length) }));
  // A token over the end of the prompt can leave nothing after as many tokens as the prompt alone has.
  if (completions.some(({ ids }) => ids.length === 0)) return { skipped: 'empty completion' };
  return { prompt, completions, numStart, isCleanCut };
}

/** A chat as token ids, and which of them are the assistant's. */
export interface EncodedChat {
  ids: number[];
  numStart: number;
  answers: readonly Answer[];
  isCleanCut: boolean;
}

/**
 * A whole chat, the prompt of a row with a completion, with the ids of every answer in it. Skips and errors: those of
 * {@link encodeRow}.
 */
export function encodeChat(
  row: PromptText,
  completion: Content,
  tokenizer: Tokenizer,
  { template, now }: Pick<EncodeOptions, 'template' | 'now'> = {},
): EncodedChat | Skipped {
  const messages = [...promptMessages(row), ...completionMessages(completion)];
  const chat = new ChatTexts(template ?? modelChatTemplate(tokenizer), { ...row.input, now }, tokenizer);
  const encoded = chat.encode([], [messages], true);
  if ('skipped' in encoded) return encoded;
  const { ids, answers } = encoded.completions[0]!;
  const numStart = startOf(ids, tokenizer);
  if (numStart === 2) return twoStarts;
  return { ids, numStart, answers: answers!, isCleanCut: encoded.isCleanCut };
}

/** The texts of one row's chats, and their ids. */
class ChatTexts {
  constructor(
    private readonly template: ChatTemplate,
    private readonly options: Omit<RenderOptions, 'addGenerationPrompt'>,
    private readonly tokenizer: Tokenizer,
  ) {}

  render(messages: readonly Message[], addGenerationPrompt = false): string {
    return this.template.render(messages, { ...this.options, addGenerationPrompt });
  }

  /** The ids of a rendered text: what the template writes is all there is. */
  ids(text: string): number[] {
    return this.tokenizer.encode(text, { addSpecialTokens: false });
  }

  /** A start, possibly none, and what follows it; the answers in that are found by rendering what comes before each. */
  encode(
    start: readonly Message[],
    endings: readonly (readonly Message[])[],
    findsAnswers: boolean,
  ): Encoded | Skipped {
    try {
      const wholes = endings.map((ending) => this.render([...start, ...ending]));
      if (!takesParts([...start, ...endings.flat()], wholes)) return partsNotTaken;
      const prompt = start.length === 0 ? '' : this.render(start, true);
      for (const [i, whole] of wholes.entries()) {
        const joined = whole.startsWith(prompt) ? whole : this.#joined(start, prompt, whole, endings[i]![0]!);
        if (joined === undefined) return promptChanged;
        wholes[i] = joined;
      }
      const encoded = split(
        this.ids(prompt),
        wholes.map((whole) => this.ids(whole)),
        this.tokenizer,
      );
      if ('skipped' in encoded || !findsAnswers) return encoded;
      for (const [i, completion] of encoded.completions.entries()) {
        const found = this.#answers(start, endings[i]!, wholes[i]!, [...encoded.prompt, ...completion.ids]);
        if (found === undefined) return promptChanged;
        const { length } = encoded.prompt;
        completion.answers = found.answers.map((one) => ({ ...one, start: one.start - length, end: one.end - length }));
        encoded.isCleanCut &&= found.isCleanCut;
      }
      return encoded;
    } catch (error) {
      if (error instanceof FormatError) throw error;
      if ([...start, ...endings.flat()].some(hasParts)) return partsNotTaken;
      return { skipped: `the chat template refuses it (${(error as Error).message.slice(0, 200)})` };
    }
  }

  /**
   * The prompt with the answer behind it, where what comes before an answer ends in something that a whole chat has not,
   * such as an empty thought; undefined where the two differ otherwise, or where that something is left open.
   */
  #joined(start: readonly Message[], prompt: string, whole: string, answer: Message): string | undefined {
    let common = 0;
    while (common < prompt.length && prompt[common] === whole[common]) common++;
    if (common < this.render(start).length) return undefined;
    const [extra, completion] = [prompt.slice(common), whole.slice(common)];
    const text = textOf(answer).trim();
    if (text === '' || !completion.trimStart().startsWith(text) || leavesOpen(extra)) return undefined;
    return prompt + completion;
  }

  /** Where the answers after a start are among the ids of the whole; undefined if what comes before one is another text. */
  #answers(start: readonly Message[], ending: readonly Message[], whole: string, ids: readonly number[]) {
    const answers: Answer[] = [];
    let isCleanCut = true;
    const place = (messages: readonly Message[], addGenerationPrompt: boolean) => {
      const text = this.render(messages, addGenerationPrompt);
      if (!whole.startsWith(text)) return undefined;
      const prefix = this.ids(text);
      isCleanCut &&= prefix.every((id, i) => ids[i] === id);
      return prefix.length;
    };
    for (const [i, message] of ending.entries()) {
      if (message.role !== 'assistant') continue;
      const before = place([...start, ...ending.slice(0, i)], true);
      const after = place([...start, ...ending.slice(0, i + 1)], false);
      if (before === undefined || after === undefined) return undefined;
      answers.push({ start: before, end: after, isLearnt: isLearnt(message) });
    }
    return { answers, isCleanCut };
  }
}

const twoStarts: Skipped = { skipped: 'two BOS tokens at the start' };
const promptChanged: Skipped = { skipped: 'the chat template changes the prompt when an answer follows' };
const partsNotTaken: Skipped = { skipped: 'the chat template does not take content in parts' };

/** Whether a text opens a block such as <think> and does not close it. */
const leavesOpen = (text: string) =>
  [...text.matchAll(/<(\w+)>/g)].some(([, name]) => !text.includes(`</${name}>`)) || /<\|/.test(text);

const hasParts = ({ content }: Message) => Array.isArray(content);

/** Whether no text shows a list as Python prints it, which a template that knows text only makes of content in parts. */
const takesParts = (messages: readonly Message[], texts: readonly string[]) =>
  !messages.some(hasParts) || !texts.some((text) => text.includes("[{'"));

/** The ids of a plain text, with the tokenizer's own special tokens unless the text spells out BOS at its start. */
function encodePlain(text: string, tokenizer: Tokenizer): number[] {
  const { bosToken } = tokenizer;
  return tokenizer.encode(text, { addSpecialTokens: bosToken === undefined || !text.startsWith(bosToken) });
}

/** How many BOS tokens ids begin with: 0, 1, or 2 for more. */
function startOf(ids: readonly number[], { bosId }: Tokenizer): number {
  if (bosId === undefined || ids[0] !== bosId) return 0;
  return ids[1] === bosId ? 2 : 1;
}
