/** A prompt and its completions as token ids: plain text, or chats that a template turns into text. */
import { FormatError, UserError } from '../errors.js';
import { type ChatTemplate, type Message, modelChatTemplate } from '../text/chat-template.js';
import type { Tokenizer } from '../text/tokenizer.js';
import { completionMessages, isEmpty, promptMessages } from './messages.js';
import type { Content, SkipReason } from './row.js';

/** Token ids of a prompt and of each completion of it. */
export interface Encoded {
  prompt: number[];
  completions: number[][];
  /** How many ids at the start are there in every text (BOS). */
  numStart: number;
  /** Whether the ids of each joint text begin with those of the prompt alone. */
  isCleanCut: boolean;
}

export type Skipped = { skipped: SkipReason };

/**
 * The ids of a prompt and its completions. The prompt is tokenised alone and with each completion; the completion's ids
 * are those of the joint text after as many as the prompt alone has (TRL).
 *
 * - Plain text: the EOS string is appended to each completion that does not end with it; special tokens that the tokenizer
 *   adds (BOS) are part of the prompt.
 * - Chats, or anything once a template is given: texts are rendered, the prompt with what comes before the next answer.
 *   Nothing is appended.
 *
 * BOS is at the start once where the tokenizer or the template puts it there. Skipped are empty completions, whole
 * texts that a template is to make chats of, and chats that it refuses or whose prompt it writes otherwise when an
 * answer follows. Errors: UserError for a tokenizer
 * without EOS, and for chats without a template.
 */
export function encodeRow(
  prompt: Content,
  completions: readonly Content[],
  tokenizer: Tokenizer,
  template?: ChatTemplate | undefined,
): Encoded | Skipped {
  if (template === undefined && typeof prompt === 'string') {
    return encodeTexts(prompt, completions.map(String), tokenizer);
  }
  if (completions.some(isEmpty)) return { skipped: 'empty completion' };
  if (typeof prompt === 'string' && prompt.trim() === '') return { skipped: 'no prompt for the chat template' };
  const start = promptMessages(prompt);
  const texts = renderAll(
    template ?? modelChatTemplate(tokenizer),
    [{ messages: start, addGenerationPrompt: true }],
    completions.map((completion) => ({ messages: [...start, ...completionMessages(completion)] })),
  );
  if ('skipped' in texts) return texts;
  return join(texts.prompts[0]!, texts.wholes, tokenizer, encodeRendered);
}

function encodeTexts(prompt: string, given: readonly string[], tokenizer: Tokenizer): Encoded | Skipped {
  const eos = tokenizer.eosToken;
  if (eos === undefined) {
    throw new UserError(
      'the tokenizer has no EOS token, which ends each completion: set eos_token in tokenizer_config.json',
    );
  }
  const texts = given.map((text) => (text.endsWith(eos) ? text.slice(0, -eos.length) : text));
  if (texts.some(isEmpty)) return { skipped: 'empty completion' };
  return join(
    prompt,
    texts.map((text) => prompt + text + eos),
    tokenizer,
    encodePlain,
  );
}

/**
 * The ids of a prompt alone, for a completion to be written: those that {@link encodeRow} gives it in front of one.
 * Errors: UserError for a chat without a template, or that the template refuses, and for a prompt without tokens.
 */
export function encodePrompt(prompt: Content, tokenizer: Tokenizer, template?: ChatTemplate | undefined): number[] {
  let ids: number[];
  if (template === undefined && typeof prompt === 'string') {
    ids = encodePlain(prompt, tokenizer);
  } else {
    if (prompt.length === 0) throw new UserError('the chat has no messages');
    const chat = template ?? modelChatTemplate(tokenizer);
    let text: string;
    try {
      text = chat.render(promptMessages(prompt), { addGenerationPrompt: true });
    } catch (cause) {
      if (cause instanceof FormatError) throw cause;
      throw new UserError(`the chat template refuses it (${(cause as Error).message.slice(0, 200)})`, { cause });
    }
    ids = encodeRendered(text, tokenizer);
  }
  if (ids.length > 0) return ids;
  // Without a token there is nothing to go on from; BOS is what texts begin with.
  if (tokenizer.bosId === undefined) throw new UserError('the prompt is empty, and the tokenizer has no BOS token');
  return [tokenizer.bosId];
}

type Encode = (text: string, tokenizer: Tokenizer) => number[];

function join(start: string, wholes: readonly string[], tokenizer: Tokenizer, encode: Encode): Encoded | Skipped {
  const prompt = encode(start, tokenizer);
  const numStart = startOf(prompt, tokenizer);
  if (numStart === 2) return { skipped: 'two BOS tokens at the start' };
  let isCleanCut = true;
  const completions = wholes.map((text) => {
    const ids = encode(text, tokenizer);
    isCleanCut &&= prompt.every((id, i) => ids[i] === id);
    return ids.slice(prompt.length);
  });
  // A token over the end of the prompt can leave nothing after as many tokens as the prompt alone has.
  if (completions.some(({ length }) => length === 0)) return { skipped: 'empty completion' };
  return { prompt, completions, numStart, isCleanCut };
}

/** A chat as token ids, and which of them are the assistant's. */
export interface EncodedChat {
  ids: number[];
  numStart: number;
  /** Of each answer, where its ids begin and end. */
  answers: { start: number; end: number }[];
  isCleanCut: boolean;
}

/**
 * A whole chat with the ids of every answer in it, found by rendering what comes before each answer and up to its end.
 * Skips and errors: those of {@link encodeRow}.
 */
export function encodeChat(
  messages: readonly Message[],
  template: ChatTemplate,
  tokenizer: Tokenizer,
): EncodedChat | Skipped {
  const turns = messages.flatMap(({ role }, i) => (role === 'assistant' ? [i] : []));
  const prefixes = turns.flatMap((i) => [
    { messages: messages.slice(0, i), addGenerationPrompt: true },
    { messages: messages.slice(0, i + 1) },
  ]);
  const texts = renderAll(template, prefixes, [{ messages }]);
  if ('skipped' in texts) return texts;
  const ids = encodeRendered(texts.wholes[0]!, tokenizer);
  const numStart = startOf(ids, tokenizer);
  if (numStart === 2) return { skipped: 'two BOS tokens at the start' };
  let isCleanCut = true;
  const ends = texts.prompts.map((text) => {
    const prefix = encodeRendered(text, tokenizer);
    isCleanCut &&= prefix.every((id, i) => ids[i] === id);
    return prefix.length;
  });
  const answers = turns.map((_, k) => ({ start: ends[2 * k]!, end: ends[2 * k + 1]! }));
  return { ids, numStart, answers, isCleanCut };
}

interface Chat {
  messages: readonly Message[];
  addGenerationPrompt?: boolean;
}

/** Prompts and whole chats as texts; every whole has to begin with every prompt. */
function renderAll(
  template: ChatTemplate,
  prompts: readonly Chat[],
  wholes: readonly Chat[],
): { prompts: string[]; wholes: string[] } | Skipped {
  try {
    const render = ({ messages, ...options }: Chat) => template.render(messages, options);
    const texts = { prompts: prompts.map(render), wholes: wholes.map(render) };
    if (texts.wholes.every((whole) => texts.prompts.every((prompt) => whole.startsWith(prompt)))) return texts;
    return { skipped: 'the chat template changes the prompt when an answer follows' };
  } catch (error) {
    if (error instanceof FormatError) throw error;
    return { skipped: `the chat template refuses it (${(error as Error).message.slice(0, 200)})` };
  }
}

/** The ids of a plain text, with the tokenizer's own special tokens unless the text spells out BOS at its start. */
function encodePlain(text: string, tokenizer: Tokenizer): number[] {
  const { bosToken } = tokenizer;
  return tokenizer.encode(text, { addSpecialTokens: bosToken === undefined || !text.startsWith(bosToken) });
}

/** The ids of a rendered chat, with BOS in front where the tokenizer adds it and the template has not. */
function encodeRendered(text: string, tokenizer: Tokenizer): number[] {
  const { bosToken, bosId } = tokenizer;
  const ids = tokenizer.encode(text, { addSpecialTokens: false });
  if (bosToken === undefined || bosId === undefined || text.startsWith(bosToken)) return ids;
  return tokenizer.encode('')[0] === bosId ? [bosId, ...ids] : ids;
}

/** How many BOS tokens ids begin with: 0, 1, or 2 for more. */
function startOf(ids: readonly number[], { bosId }: Tokenizer): number {
  if (bosId === undefined || ids[0] !== bosId) return 0;
  return ids[1] === bosId ? 2 : 1;
}
