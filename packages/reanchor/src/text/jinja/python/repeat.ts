/** Texts made longer, within the limits. */
import { requireText } from '../limits.js';
import { lengthOf } from './characters.js';

/** A text so many times. Errors: LimitError. */
export function repeatText(text: string, times: number): string {
  if (text === '' || times <= 0) return '';
  requireText(text.length * times);
  return text.repeat(times);
}

/** A text in the width of so many code points: `<` at the left, `>` at the right, `^` and `center` in the middle. */
export function padText(text: string, width: number, align: '<' | '>' | '^' | 'center', fill = ' '): string {
  const missing = width - lengthOf(text);
  if (missing <= 0) return text;
  const half = Math.floor(missing / 2);
  // `str.center` puts an odd one at the left of texts of even length, `format` always at the right.
  const odd = align === 'center' ? missing & width & 1 : 0;
  const before = align === '<' ? 0 : align === '>' ? missing : half + odd;
  return repeatText(fill, before) + text + repeatText(fill, missing - before);
}
