/** What a chat template makes of a row: the text of its prompt, and those of the chats that go on from it. */
import type { Message } from '../text/index.js';
import { TemplateError } from '../text/index.js';
import { type Answer, answersIn, attempt, type Chat, commonLength, type Render, saidIn } from './answers.js';
import { hasParts, inOneText, takesParts } from './parts.js';
import type { SkipReason } from './row.js';

export type Skipped = { skipped: SkipReason };

/** The text of a prompt, with what comes before an answer, and of each chat that goes on from it. */
export interface ChatTexts {
  prompt: string;
  wholes: WholeChat[];
}

/** The text of a chat, which begins with that of its prompt, and where its answers are, if they were looked for. */
export interface WholeChat {
  text: string;
  answers?: readonly Answer[] | undefined;
}

/**
 * The texts of a start, possibly none, and of each ending behind it; `from` is the message from which on answers are
 * looked for. Skipped are chats that the template refuses, whose parts it does not take, or whose prompt it writes
 * otherwise when an answer follows.
 */
export function chatTexts(
  start: readonly Message[],
  endings: readonly (readonly Message[])[],
  render: Render,
  from: number | undefined,
): ChatTexts | Skipped {
  return orRefused([...start, ...endings.flat()], render, (): ChatTexts | Skipped => {
    const chats = endings.map((ending) => chatOf([...start, ...ending], render));
    if (!chats.every((chat) => takesParts(chat, render))) return partsNotTaken;
    const prompt = start.length === 0 ? '' : render(start, true);
    const wholes: WholeChat[] = [];
    for (const chat of chats) {
      const at = joint(chat, start, prompt, render);
      if (at === undefined) return { skipped: 'the chat template changes the prompt when an answer follows' };
      const answers = from === undefined ? undefined : answersIn(chat, from, render);
      if (answers === undefined && from !== undefined) {
        return { skipped: 'the chat template does not show where an answer begins or ends' };
      }
      const shift = (place: number) => (place < at ? place : place + prompt.length - at);
      const moved = answers?.map((one) => ({ ...one, start: shift(one.start), end: shift(one.end) }));
      wholes.push({ text: prompt + chat.text.slice(at), answers: moved });
    }
    return { prompt, wholes };
  });
}

/** The text of a prompt, with what comes before an answer, or why there is none. */
export const promptText = (start: readonly Message[], render: Render): string | Skipped =>
  orRefused(start, render, () => {
    const asked: Render = (messages) => render(messages, true);
    const chat = chatOf(start, asked);
    return takesParts(chat, asked) ? chat.text : partsNotTaken;
  });

const chatOf = (messages: readonly Message[], render: Render): Chat => ({ messages, text: render(messages) });

const partsNotTaken: Skipped = { skipped: 'the chat template does not take content in parts' };

/** What is made of messages, or the words with which the template refuses them. */
function orRefused<T>(messages: readonly Message[], render: Render, make: () => T): T | Skipped {
  try {
    return make();
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error;
    const areParts = messages.some(hasParts) && attempt(() => render(messages.map(inOneText))) !== undefined;
    return areParts ? partsNotTaken : { skipped: `the chat template refuses it (${error.message.slice(0, 200)})` };
  }
}

/**
 * Where in the text of a chat what follows the prompt begins: where the prompt ends, or where the prompt goes on with
 * something closed that the chat has not, such as an empty thought, which the prompt then keeps. Undefined where the
 * two differ otherwise.
 */
function joint(chat: Chat, start: readonly Message[], prompt: string, render: Render): number | undefined {
  const at = commonLength(prompt, chat.text);
  if (at === prompt.length) return at;
  if (at < commonLength(prompt, render(start)) || !isClosed(prompt.slice(at))) return undefined;
  const said = saidIn(chat, start.length, render);
  return said !== undefined && chat.text.slice(at, said.start).trim() === '' ? at : undefined;
}

/** Whether a text closes all the blocks that it opens, such as <think>, and no others. */
function isClosed(text: string): boolean {
  const count = (pattern: RegExp) => [...text.matchAll(pattern)].map(([, name]) => name!).sort();
  return count(/<(\w+)>/g).join() === count(/<\/(\w+)>/g).join() && !/<\|/.test(text);
}
