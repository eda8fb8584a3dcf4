/** A judge's replies without the key that they were asked with: a server that was sent it may repeat it. */
import { mapTexts } from '../../formats/index.js';
import { hiding, shortestKey } from '../../secrets.js';
import type { ChatReply, MalformedReply } from './chat-reply.js';

/** Keeps one key out of what is kept and printed. Placeholders as short as local servers take are no keys. */
export class KeyGuard {
  /** A text with `[key]` in the place of the key. */
  readonly hide: (text: string) => string;
  readonly #disguises: readonly string[];

  constructor(key: string | undefined) {
    const isKey = key !== undefined && key.length >= shortestKey;
    this.hide = hiding(isKey ? [{ value: key, shown: '[key]' }] : []);
    this.#disguises = isKey ? disguisesOf(key) : [];
  }

  /** The reply without the key in any of its texts; one that spells the key in another way is none. */
  reply(reply: ChatReply | MalformedReply): ChatReply | MalformedReply {
    const shown = mapTexts(reply, this.hide);
    if ('malformed' in shown) return shown;
    const { text, finish, model, tokens = [] } = shown;
    const rows = [[text], [finish, model], tokens.map(({ token }) => token)];
    const places = Math.max(0, ...tokens.map(({ top }) => top.length));
    const columns = Array.from({ length: places }, (_, i) => tokens.map(({ top }) => top[i]?.token));
    const isDisguised = [...rows, ...columns, ...tokens.map(({ top }) => top.map(({ token }) => token))].some((texts) =>
      this.isDisguisedIn(texts.join('')),
    );
    return isDisguised ? { malformed: 'the reply has the key in it, spelled in another way' } : shown;
  }

  /**
   * Whether the key can be read in a text by leaving marks and spaces out, backwards, or out of codes of its letters.
   */
  isDisguisedIn(text: string): boolean {
    const letters = lettersOf(text);
    return this.#disguises.some((disguise) => letters.includes(disguise));
  }
}

/**
 * The Latin letters and digits of a text, those of full width and of mathematics among them, as plain small letters.
 */
const lettersOf = (text: string) =>
  text
    .replace(/[^a-z\d\uff10-\uff5a\u{1d400}-\u{1d7ff}]/giu, '')
    .normalize('NFKC')
    .toLowerCase()
    .replace(/[^a-z\d]/g, '');

function disguisesOf(key: string): string[] {
  const bytes = [...Buffer.from(key)];
  const codes = (radix: number, before: string) => bytes.map((byte) => before + byte.toString(radix)).join('');
  // Of three bytes base64 makes four letters: what stands before and behind the key decides where they begin and end.
  const base64 = [0, 1, 2].map((before) =>
    Buffer.concat([Buffer.alloc(before), Buffer.from(key)])
      .toString('base64')
      .slice(before === 0 ? 0 : before + 1)
      .replace(/.=+$/, ''),
  );
  return [key, [...key].reverse().join(''), codes(16, ''), codes(16, 'x'), codes(16, 'u00'), codes(10, ''), ...base64]
    .map(lettersOf)
    .filter((letters) => letters.length >= shortestKey);
}
