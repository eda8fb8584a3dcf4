/** Prompts and completions as texts and as chats. */
import { isDeepStrictEqual } from 'node:util';
import type { Message } from '../text/index.js';
import { isSilent } from './message.js';
import type { Content, PromptText } from './row.js';

/**
 * Where the common prompt of two texts ends, in UTF-16 units: at their first difference, or one earlier after a space.
 * If one text begins with the other, the last character of the shorter one belongs to the completions. Source: TRL's
 * `extract_prompt`; other than there, a difference in the first character is an empty prompt.
 */
export function commonPrompt(chosen: string, rejected: string): number {
  const shorter = Math.min(chosen.length, rejected.length);
  let cut = 0;
  while (cut < shorter && chosen[cut] === rejected[cut]) cut++;
  const isContained = cut === shorter;
  if (isContained && cut > 0) cut--;
  if (isSurrogatePair(chosen, cut) || isSurrogatePair(rejected, cut)) cut--;
  if (!isContained && chosen[cut - 1] === ' ') cut--;
  return cut;
}

/** Whether a character of two UTF-16 units lies on both sides of a cut. */
const isSurrogatePair = (text: string, cut: number) => cut > 0 && (text.codePointAt(cut - 1) ?? 0) > 0xffff;

/** How many messages two chats begin with in common; the last message of neither is counted. */
export function commonMessages(chosen: readonly Message[], rejected: readonly Message[]): number {
  const most = Math.max(0, Math.min(chosen.length, rejected.length) - 1);
  let cut = 0;
  while (cut < most && isDeepStrictEqual(chosen[cut], rejected[cut])) cut++;
  return cut;
}

const turn = /\n\nHuman:|\n\nAssistant:/;
export const assistantMark = '\n\nAssistant:';

/** Whether a text is a transcript as in Anthropic HH. */
export const isTranscript = (text: string) => text.startsWith('\n\nHuman:') && text.includes(assistantMark);

/** A transcript split after the last turn of the assistant begins; undefined if it has none. */
export function splitAtLast(text: string, mark: string): { prompt: string; completion: string } | undefined {
  const at = text.lastIndexOf(mark);
  if (at === -1) return undefined;
  return { prompt: text.slice(0, at + mark.length), completion: text.slice(at + mark.length) };
}

/**
 * A prompt as messages: the turns of a transcript that ends with "\n\nAssistant:", else one message of the user; in
 * front the message of `system`, unless the chat begins with one of its own.
 */
export function promptMessages({ prompt, system }: PromptText): Message[] {
  return withSystem(typeof prompt === 'string' ? textMessages(prompt) : prompt, system);
}

/** A chat behind the message of a system, unless it begins with one of its own or there is none. */
export function withSystem(messages: readonly Message[], system = ''): Message[] {
  const isAdded = system !== '' && messages[0]?.role !== 'system';
  return isAdded ? [{ role: 'system', content: system }, ...messages] : [...messages];
}

function textMessages(prompt: string): Message[] {
  if (!isTranscript(prompt) || !prompt.endsWith(assistantMark)) return [{ role: 'user', content: prompt.trim() }];
  const turns = prompt.slice(0, -assistantMark.length).split(new RegExp(`(${turn.source})`));
  const messages: Message[] = [];
  for (let i = 1; i < turns.length; i += 2) {
    messages.push({ role: turns[i] === assistantMark ? 'assistant' : 'user', content: turns[i + 1]!.trim() });
  }
  return messages;
}

/** A completion as messages of the assistant. */
export function completionMessages(completion: Content): readonly Message[] {
  return typeof completion === 'string' ? [{ role: 'assistant', content: completion.trim() }] : completion;
}

/** Whether a completion has nothing to be learnt. */
export function isEmpty(completion: Content): boolean {
  if (typeof completion === 'string') return completion.trim() === '';
  const last = completion.findLast(({ role }) => role === 'assistant');
  return last === undefined || isSilent(last);
}

/** Whether completions begin with the whole prompt, which would then stand twice. */
export function repeatsPrompt(prompt: Content, completions: readonly Content[]): boolean {
  if (typeof prompt === 'string') {
    const text = prompt.trim();
    return text !== '' && completions.every((one) => typeof one === 'string' && one.trimStart().startsWith(text));
  }
  return (
    prompt.length > 0 &&
    completions.every(
      (one) => typeof one !== 'string' && prompt.every((message, i) => isDeepStrictEqual(message, one[i])),
    )
  );
}
