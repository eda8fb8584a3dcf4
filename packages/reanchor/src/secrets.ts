/** Texts without what is secret in them: keys, what the variables of a recipe stand for, passwords in addresses. */

/** A text that is written nowhere, and what stands in its place. */
export interface Secret {
  value: string;
  shown: string;
}

/** Shorter keys are placeholders, as local servers take them, and would be found in the middle of words. */
export const shortestKey = 8;

/**
 * A function that gives texts back without the secrets, however JSON and addresses spell them; longer ones count first.
 */
export function hiding(secrets: readonly Secret[]): (text: string) => string {
  const shown = new Map(secrets.flatMap(({ value, shown: text }) => spellings(value).map((one) => [one, text])));
  if (shown.size === 0) return (text) => text;
  const longestFirst = [...shown.keys()].sort((a, b) => b.length - a.length);
  const pattern = new RegExp(longestFirst.map(literally).join('|'), 'g');
  return (text) => text.replace(pattern, (found) => shown.get(found)!);
}

function spellings(value: string): string[] {
  // Half a character cannot be written in an address.
  const whole = Buffer.from(value).toString();
  return [value, JSON.stringify(value).slice(1, -1), encodeURI(whole), encodeURIComponent(whole)];
}

const literally = (text: string) => text.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');

/**
 * A text whose addresses have neither user names nor passwords: `https://user:password@host` is
 * `https://[hidden]@host`.
 */
export function withoutPasswords(text: string): string {
  return text.replace(/:\/\/[^\s/?#"]{0,2000}@/g, '://[hidden]@');
}

/**
 * An address as messages show it: without user name, password and what follows a `?` or `#`, where tokens are found.
 */
export function addressShown(address: string): string {
  const [place] = address.split(/[?#]/, 1);
  return withoutPasswords(place!);
}
