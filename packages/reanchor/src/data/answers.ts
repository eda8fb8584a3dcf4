/** Where in the text that a template makes of a chat the answers of the assistant are. */
import type { Message } from '../text/index.js';
import { fail, TemplateError } from '../text/index.js';
import { isLearnt } from './message.js';

/** The text of messages; with a generation prompt it ends in what comes before the assistant's next answer. */
export type Render = (messages: readonly Message[], addGenerationPrompt?: boolean) => string;

/** A chat and the text that a template makes of all of it. */
export interface Chat {
  messages: readonly Message[];
  text: string;
}

/** A part of a text, or of its ids, that is an answer of the assistant. */
export interface Answer {
  start: number;
  end: number;
  isLearnt: boolean;
}

/**
 * The answers among the messages from number `from` on, in UTF-16 units of the text: from behind the generation prompt
 * to where the next message begins, and of the last message to the end of the text. Undefined where one cannot be
 * found.
 *
 * The text of a chat that is cut before or behind an answer says it, if the whole begins with it. Many templates write
 * an answer in another way once more follows (without its thoughts), or refuse a chat without a user. Then the whole is
 * compared with the chat in which one message says something else: they differ from where that message says it to where
 * it has said it.
 */
export function answersIn(chat: Chat, from: number, render: Render): Answer[] | undefined {
  const answers: Answer[] = [];
  for (const [i, message] of chat.messages.entries()) {
    if (i < from || message.role !== 'assistant') continue;
    const [start, end] = [startOf(chat, i, render), endOf(chat, i, render)];
    if (start === undefined || end === undefined || end < start) return undefined;
    answers.push({ start, end, isLearnt: isLearnt(message) });
  }
  return answers;
}

/** Where the answer begins that is message `i`. */
function startOf(chat: Chat, i: number, render: Render): number | undefined {
  const { messages, text } = chat;
  const asked = attempt(() => render(messages.slice(0, i), true));
  if (asked !== undefined && text.startsWith(asked)) return asked.length;
  const before = i === 0 ? undefined : endOf(chat, i - 1, render);
  const opening = openingOf(messages, i, render);
  if (before === undefined || opening === undefined) return saidIn(chat, i, render)?.start;
  const at = before + commonLength(opening, text.slice(before));
  const block = /<(\w+)>\s*$/.exec(text.slice(before, at));
  // Not behind half of a block, such as the <think> of an empty thought.
  return block && opening.includes(`</${block[1]}>`, at - before) ? before + block.index : startOfTag(text, at);
}

/** Where message `i` ends, with what the template writes behind it. */
function endOf(chat: Chat, i: number, render: Render): number | undefined {
  const { messages, text } = chat;
  if (i === messages.length - 1) return text.length;
  const cut = attempt(() => render(messages.slice(0, i + 1)));
  if (cut !== undefined && text.startsWith(cut)) return cut.length;
  const said = saidIn(chat, i, render)?.end;
  if (said === undefined) return undefined;
  return startOfTag(text, said + commonLength(closingOf(messages, i, render), text.slice(said)));
}

/** What the template writes between the messages before number `i` and an answer to them. */
function openingOf(messages: readonly Message[], i: number, render: Render): string | undefined {
  const asked = attempt(() => render(messages.slice(0, i), true));
  const unasked = attempt(() => render(messages.slice(0, i)));
  if (asked === undefined || unasked === undefined) return undefined;
  return asked.slice(startOfTag(asked, commonLength(asked, unasked)));
}

/**
 * What the template writes behind message `i` if more follows: as it goes on to an answer, else as it ends a chat here,
 * else as it ends the whole chat.
 */
function closingOf(messages: readonly Message[], i: number, render: Render): string {
  const isFirst = ({ role }: Message, at: number) => at > 0 && role === 'assistant';
  const opening = openingOf(messages, messages.findIndex(isFirst), render);
  const goesOn: Render = (some) => {
    const asked = render(some, true);
    if (opening === undefined || !asked.endsWith(opening)) return fail('ValueError', 'it goes on otherwise');
    return asked.slice(0, asked.length - opening.length);
  };
  const until = messages.slice(0, i + 1);
  const closings = [[until, goesOn] as const, [until, render] as const, [messages, render] as const].map(
    ([shown, how]) => {
      const text = attempt(() => how(shown));
      const end = text === undefined ? undefined : saidIn({ messages: shown, text }, shown.length - 1, how)?.end;
      return end === undefined ? undefined : text!.slice(end);
    },
  );
  return closings.find((closing) => closing !== undefined) ?? '';
}

/** The place, or where the tag begins that lies over it, as <|end|> may. */
function startOfTag(text: string, at: number): number {
  const open = text.lastIndexOf('<', at - 1);
  return at > 0 && open !== -1 && /^<[^<>\s]*$/.test(text.slice(open, at)) ? open : at;
}

/** From where to where a text says what message `i` says; undefined where it does not show, or may not be otherwise. */
export function saidIn(
  { messages, text }: Chat,
  i: number,
  render: Render,
): { start: number; end: number } | undefined {
  const { content } = messages[i]!;
  // Characters that no text has a reason to have, and that differ from both ends of this one.
  const other = text.includes('\ue000') ? '\ue001' : '\ue000';
  const changed = { ...messages[i]!, content: Array.isArray(content) ? [{ type: 'text', text: other }] : other };
  const without = attempt(() => render([...messages.slice(0, i), changed, ...messages.slice(i + 1)]));
  if (without === undefined || without === text) return undefined;
  const start = commonLength(text, without);
  const most = Math.min(text.length, without.length) - start;
  let same = 0;
  while (same < most && text[text.length - 1 - same] === without[without.length - 1 - same]) same++;
  return { start, end: text.length - same };
}

/** How many UTF-16 units two texts begin with in common. */
export function commonLength(a: string, b: string): number {
  const shorter = Math.min(a.length, b.length);
  let length = 0;
  while (length < shorter && a[length] === b[length]) length++;
  return length;
}

/** The text of a chat; undefined where the template refuses it. */
export function attempt(render: () => string): string | undefined {
  try {
    return render();
  } catch (error) {
    if (error instanceof TemplateError) return undefined;
    throw error;
  }
}
