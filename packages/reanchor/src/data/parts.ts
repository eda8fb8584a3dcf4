/** Content that is a list of parts, where a chat template may know texts only. */
import type { Message } from '../text/index.js';
import { printedForms } from '../text/index.js';
import { attempt, type Chat, type Render } from './answers.js';
import { textOf } from './message.js';

/** Whether the content of a message is a list of parts. */
export const hasParts = ({ content }: Message) => Array.isArray(content);

/**
 * Whether a template writes the texts of parts, and no part as Python or JSON has it. Python's transformers train on
 * such lists, and without the texts that a template does not look for.
 */
export function takesParts(chat: Chat, render: Render): boolean {
  if (!chat.messages.some(hasParts)) return true;
  const plain = attempt(() => render(chat.messages.map(inOneText)));
  if (plain === chat.text) return true;
  const parts = chat.messages.flatMap(({ content }) => (Array.isArray(content) ? content : []));
  const squeezed = squeeze(chat.text);
  if (parts.some((part) => printedForms(part).some((shown) => squeezed.includes(squeeze(shown))))) return false;
  const isLost = (text: string) => !chat.text.includes(text) && plain?.includes(text) === true;
  if (parts.some(({ text }) => typeof text === 'string' && isLost(text.trim()))) return false;
  // An empty list is nothing but for those who print it.
  const isNone = (message: Message) => hasParts(message) && (message.content as readonly unknown[]).length === 0;
  const filled = chat.messages.map((message) => (isNone(message) ? inOneText(message) : message));
  return !chat.messages.some(isNone) || attempt(() => render(filled)) === chat.text;
}

/** A message whose content is one text. */
export const inOneText = (message: Message): Message =>
  hasParts(message) ? { ...message, content: textOf(message) } : message;

/** Without white space, of which JSON may have any amount. */
const squeeze = (text: string) => text.replace(/\s+/g, '');
