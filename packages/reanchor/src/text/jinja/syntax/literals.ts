/** What the escapes in literals of text stand for. Source: Python's codec `unicode-escape`. */
import { unsupported } from '../errors.js';

const simple: Readonly<Record<string, string>> = {
  '\n': '',
  '\\': '\\',
  "'": "'",
  '"': '"',
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
};
const digits: Readonly<Record<string, number>> = { x: 2, u: 4, U: 8 };

/** The text of a literal without its quotes. Errors: Error for an escape that is cut off. */
export function unescapeLiteral(literal: string): string {
  if (!literal.includes('\\')) return literal;
  return literal.replace(/\\(?:([0-7]{1,3})|([xuU])([\da-fA-F]*)|([\s\S]))/gu, (all, octal, kind, hex, other) => {
    if (octal !== undefined) return String.fromCodePoint(Number.parseInt(octal, 8));
    if (kind !== undefined) {
      const count = digits[kind]!;
      if (hex.length < count) throw new Error(`truncated \\${kind}${'X'.repeat(count)} escape`);
      const code = Number.parseInt(hex.slice(0, count), 16);
      if (code > 0x10ffff) throw new Error('illegal Unicode character');
      return String.fromCodePoint(code) + hex.slice(count);
    }
    if (other === 'N') return unsupported('a character by its name (\\N{...})');
    return simple[other] ?? all;
  });
}
