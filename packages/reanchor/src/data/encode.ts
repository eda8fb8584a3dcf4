/** A prompt and its completions as token ids: plain text, or chats that a template turns into text. */
import { UserError } from '../errors.js';
import { type ChatTemplate, encodingFrom, modelChatTemplate, type Tokenizer } from '../text/index.js';
import type { Answer, Render } from './answers.js';
import { type ChatTexts, chatTexts, promptText, type Skipped, type WholeChat } from './chat-texts.js';
import { isLearnt } from './message.js';
import { completionMessages, isEmpty, promptMessages, repeatsPrompt } from './messages.js';
import type { Content, PromptText } from './row.js';

export type { Answer, Skipped };

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

export interface EncodeOptions {
  /** The template of all rows; left out, texts stay as they are and chats take the model's own. */
  template?: ChatTemplate | undefined;
  /** The moment that templates tell as now. Default: that of the call. */
  now?: Date | undefined;
  /**
   * Finds the answers in completions of several messages; where messages are not to be learnt it is done in any case.
   */
  findsAnswers?: boolean | undefined;
}

/**
 * The ids of a prompt and its completions. The prompt is tokenised alone and with each completion; the completion's ids
 * are those of the joint text after as many as the prompt alone has (TRL).
 *
 * - Plain text: the EOS string is appended to each completion that does not end with it; special tokens that the
 *   tokenizer adds (BOS) are part of the prompt.
 * - Chats, or anything once a template is given: texts are rendered, the prompt with what comes before the next answer.
 *   Nothing is added to what the template writes, BOS neither (TRL).
 *
 * Skipped are empty completions, whole texts that a template is to make chats of, and chats that it refuses or whose
 * prompt it writes otherwise when an answer follows. Errors: UserError for a tokenizer without EOS, and for chats
 * without a template.
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
  return orNoChat(row, completions, () => {
    const answers = completions.map(completionMessages);
    const start = promptMessages(row);
    const from = findsAnswers || !answers.flat().every(isLearnt) ? start.length : undefined;
    const texts = chatTexts(start, answers, renderer(row, tokenizer, { template, now }), from);
    return 'skipped' in texts ? texts : encodeChats(texts, tokenizer);
  });
}

/** What is made of chats, or why they are none, or not for a template. */
function orNoChat<T extends object>(
  { prompt }: PromptText,
  completions: readonly Content[],
  make: () => T | Skipped,
): T | Skipped {
  if (completions.some(isEmpty)) return { skipped: 'empty completion' };
  if (typeof prompt === 'string' && prompt.trim() === '') return { skipped: 'no prompt for the chat template' };
  const made = make();
  const isRepeated =
    'skipped' in made && made.skipped.startsWith('the chat template') && repeatsPrompt(prompt, completions);
  return isRepeated ? { skipped: 'the answers begin with the whole prompt, which then stands twice' } : made;
}

/** What a template makes of messages for a row. */
const renderer =
  (
    { input }: PromptText,
    tokenizer: Tokenizer,
    { template = modelChatTemplate(tokenizer), now }: Pick<EncodeOptions, 'template' | 'now'>,
  ): Render =>
  (messages, addGenerationPrompt) =>
    template.render(messages, { ...input, now, addGenerationPrompt });

function encodeTexts(prompt: string, given: readonly string[], tokenizer: Tokenizer): Encoded | Skipped {
  const eos = tokenizer.eosToken;
  if (eos === undefined) {
    throw new UserError(
      'the tokenizer has no EOS token, which ends each completion: set eos_token in tokenizer_config.json',
    );
  }
  const texts = given.map((text) => (text.endsWith(eos) ? text.slice(0, -eos.length) : text));
  if (texts.some(isEmpty)) return { skipped: 'empty completion' };
  const encode = encodingFrom(prompt, tokenizer);
  const wholes = texts.map((text) => encodePlain(prompt + text + eos, tokenizer, encode));
  return split(encodePlain(prompt, tokenizer, encode), wholes, tokenizer);
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
    const text = promptText(promptMessages(row), renderer(row, tokenizer, { template, now }));
    if (typeof text !== 'string')
      throw new UserError(`${text.skipped}: change the messages, or name another chat template`);
    ids = encodeRendered(text, tokenizer);
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

/** The ids of a prompt and of what follows it, with the answers in that where they were looked for. */
function encodeChats({ prompt, wholes }: ChatTexts, tokenizer: Tokenizer): Encoded | Skipped {
  const encode = encodingFrom(prompt, tokenizer);
  const texts = wholes.map(({ text }) => encodeRendered(text, { encode }));
  const encoded = split(encodeRendered(prompt, { encode }), texts, tokenizer);
  if ('skipped' in encoded) return encoded;
  for (const [i, completion] of encoded.completions.entries()) {
    const whole = wholes[i]!;
    if (whole.answers === undefined) continue;
    const { answers, isCleanCut } = answersAmong([...encoded.prompt, ...completion.ids], whole, { encode });
    const { length } = encoded.prompt;
    completion.answers = answers.map((one) => ({ ...one, start: one.start - length, end: one.end - length }));
    encoded.isCleanCut &&= isCleanCut;
  }
  return encoded;
}

/** A chat as token ids, and which of them are the assistant's. */
export interface EncodedChat {
  ids: number[];
  numStart: number;
  answers: readonly Answer[];
  isCleanCut: boolean;
}

/**
 * A whole chat, the prompt of a row with a completion, with the ids of every answer in it; with `isOneText` what
 * follows the prompt need not be told from it, and the answers are there only if one of them is not to be learnt. Skips
 * and errors: those of {@link encodeRow}.
 */
export function encodeChat(
  row: PromptText,
  completion: Content,
  tokenizer: Tokenizer,
  { isOneText = false, ...options }: Pick<EncodeOptions, 'template' | 'now'> & { isOneText?: boolean | undefined } = {},
): EncodedChat | Skipped {
  return orNoChat(row, [completion], () => {
    const [start, ending] = [promptMessages(row), completionMessages(completion)];
    const isAnswered = !isOneText || ![...start, ...ending].every(isLearnt);
    const [before, after] = isOneText ? [[], [...start, ...ending]] : [start, ending];
    const texts = chatTexts(before, [after], renderer(row, tokenizer, options), isAnswered ? 0 : undefined);
    if ('skipped' in texts) return texts;
    const whole = texts.wholes[0]!;
    const ids = encodeRendered(whole.text, tokenizer);
    const numStart = startOf(ids, tokenizer);
    return numStart === 2 ? twoStarts : { ids, numStart, ...answersAmong(ids, whole, tokenizer) };
  });
}

/** Where the answers in a text are among its ids, and whether no token lies over an end of one. */
function answersAmong(ids: readonly number[], { text, answers = [] }: WholeChat, tokenizer: Pick<Tokenizer, 'encode'>) {
  let isCleanCut = true;
  const place = (at: number) => {
    const before = encodeRendered(text.slice(0, at), tokenizer);
    isCleanCut &&= before.every((id, i) => ids[i] === id);
    return before.length;
  };
  const found = answers.map((one) => ({ ...one, start: place(one.start), end: place(one.end) }));
  return { answers: found, isCleanCut };
}

const twoStarts: Skipped = { skipped: 'two BOS tokens at the start' };

/** The ids of a rendered text: what the template writes is all there is. */
const encodeRendered = (text: string, { encode }: Pick<Tokenizer, 'encode'>) =>
  encode(text, { addSpecialTokens: false });

/** The ids of a plain text, with the tokenizer's own special tokens unless the text spells out BOS at its start. */
function encodePlain(text: string, { bosToken, encode: whole }: Tokenizer, encode = whole): number[] {
  return encode(text, { addSpecialTokens: bosToken === undefined || !text.startsWith(bosToken) });
}

/** How many BOS tokens ids begin with: 0, 1, or 2 for more. */
function startOf(ids: readonly number[], { bosId }: Tokenizer): number {
  if (bosId === undefined || ids[0] !== bosId) return 0;
  return ids[1] === bosId ? 2 : 1;
}
