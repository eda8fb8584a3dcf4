/** Prompts of files that other tools wrote: which are the same, and how they read. */
import { type Content, promptMessages, textOf } from '../data/index.js';
import { exactJson } from '../formats/index.js';
import type { Message } from '../text/index.js';

/** What a row is matched by, from strict to loose; undefined where the row has no such key. */
export type Keys = readonly (string | undefined)[];

/**
 * What tells a prompt from others: first as it stands; then by its messages, a text being a message of the user (a
 * transcript its turns), with every run of white space as one space.
 */
export function promptKeys(prompt: Content): Keys {
  const messages = promptMessages({ prompt }).map((message) => [
    message.role,
    said(message).replace(/\s+/g, ' ').trim(),
  ]);
  return [exactJson(prompt), exactJson(messages)];
}

/**
 * Where each row of `wanted` stands in `among`, or -1; a row there serves one here. What is equal by a stricter key
 * goes first, and among equals it goes in order: the second occurrence here is the second one there.
 */
export function placesOf(wanted: readonly Keys[], among: readonly Keys[]): number[] {
  const places = wanted.map(() => -1);
  const isUsed = among.map(() => false);
  for (const level of wanted[0]?.keys() ?? []) {
    const waiting = new Map<string | undefined, number[]>();
    // From the last to the first, so that the first is taken first.
    for (let i = among.length - 1; i >= 0; i--) {
      const key = among[i]![level];
      if (isUsed[i] || key === undefined) continue;
      const list = waiting.get(key);
      if (list) list.push(i);
      else waiting.set(key, [i]);
    }
    for (const [w, keys] of wanted.entries()) {
      const place = places[w] === -1 ? waiting.get(keys[level])?.pop() : undefined;
      if (place === undefined) continue;
      places[w] = place;
      isUsed[place] = true;
    }
  }
  return places;
}

/** A prompt as a text to be read: a message of the user as it stands, of more messages each with its role. */
export function promptText(prompt: Content): string {
  if (typeof prompt === 'string') return prompt;
  if (prompt.length === 1 && prompt[0]!.role === 'user') return said(prompt[0]!);
  const named = (role: string) => role.charAt(0).toUpperCase() + role.slice(1);
  return prompt.map((message) => `${named(message.role)}: ${said(message)}`).join('\n\n');
}

/** What a message says: its text, and the calls of tools beside it. */
function said(message: Message): string {
  const calls = Array.isArray(message.tool_calls) ? message.tool_calls : [];
  return [textOf(message), ...calls.map((call) => exactJson(call))].filter((part) => part !== '').join('\n');
}
