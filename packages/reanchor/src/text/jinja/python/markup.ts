/** Text that counts as escaped HTML: what `escape` and `safe` make, and what becomes of it. Source: markupsafe 3. */
import { space } from './characters.js';
import { unescapeHtml } from './html-entities.js';
import { stringOf } from './repr.js';
import { Markup, type Value } from './values.js';

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  "'": '&#39;',
  '"': '&#34;',
};

/** A value as text in which HTML means nothing; what is escaped stays as it is. */
export function escapeMarkup(value: Value): Markup {
  if (value instanceof Markup) return value;
  return new Markup(stringOf(value).replace(/[&<>'"]/g, (character) => entities[character]!));
}

/** A text as the kind of text that another one is. */
export const like = (value: Value, text: string): string | Markup =>
  value instanceof Markup ? new Markup(text) : text;

/** Escaped text as plain text without tags and comments, its white space as single spaces. */
export function stripTags(text: string): string {
  const words = without(without(text, '<!--', '-->'), '<', '>').split(spaces);
  return unescapeHtml(words.filter((word) => word !== '').join(' '));
}

const spaces = new RegExp(`[${space}]+`);

/** A text without what is between marks, them included, as long as both are there. */
function without(text: string, begin: string, end: string): string {
  let kept = text;
  for (;;) {
    const start = kept.indexOf(begin);
    const stop = start === -1 ? -1 : kept.indexOf(end, start);
    if (stop === -1) return kept;
    kept = kept.slice(0, start) + kept.slice(stop + end.length);
  }
}
