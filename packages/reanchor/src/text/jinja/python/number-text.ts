/** Numbers from texts: Python's `int` and `float`, and integers as text. */
import { fail } from '../errors.js';
import { requireBits } from '../limits.js';
import { space } from './characters.js';
import type { Int } from './numbers.js';
import { Float, integer } from './values.js';

/** Decimal digits of an integer that a text may have. */
const maxDigits = 4300;

/** An integer in decimal digits. Errors: ValueError for one of more than 4,300 digits. */
export function integerText(value: Int): string {
  if (typeof value === 'number') return String(value);
  const text = value.toString();
  if (text.length > maxDigits + 1) {
    fail('ValueError', `Exceeds the limit (${maxDigits} digits) for integer string conversion`);
  }
  return text;
}

const edges = new RegExp(`^[${space}]+|[${space}]+$`, 'g');

/** A text of a number with the decimal digits of all scripts as those of ASCII. */
const withPlainDigits = (text: string) =>
  text
    .replace(edges, '')
    .replace(/[^\x20-\x7f]/gu, (point) => (/\p{Nd}/u.test(point) ? String(digitOf(point)) : point));

/** The value of a decimal digit: digits lie in tens, from 0. */
function digitOf(point: string): number {
  const code = point.codePointAt(0)!;
  let zero = code;
  while (code - zero < 9 && /\p{Nd}/u.test(String.fromCodePoint(zero - 1))) zero--;
  // Mathematical digits lie in tens without a gap between them, from U+1D7CE.
  return code >= 0x1d7ce && code <= 0x1d7ff ? (code - 0x1d7ce) % 10 : code - zero;
}

const prefixes: Readonly<Record<string, number>> = { '0b': 2, '0o': 8, '0x': 16 };

/** The integer that a text is in a base, 0 for the base of its prefix. Errors: ValueError. Source: Python's `int`. */
export function parseInteger(text: string, base: number): Int {
  const invalid = () => fail('ValueError', `invalid literal for int() with base ${base}: '${text}'`);
  if (base !== 0 && (base < 2 || base > 36)) fail('ValueError', 'int() base must be >= 2 and <= 36, or 0');
  const [, sign, body] = /^([+-]?)(.*)$/s.exec(withPlainDigits(text).toLowerCase())!;
  const prefixBase = prefixes[body!.slice(0, 2)];
  const hasPrefix = prefixBase !== undefined && (base === 0 || base === prefixBase);
  const radix = hasPrefix ? prefixBase : base || 10;
  const digits = hasPrefix ? body!.slice(2).replace(/^_/, '') : body!;
  if (!/^[0-9a-z]+(_[0-9a-z]+)*$/.test(digits)) invalid();
  const plain = digits.replaceAll('_', '');
  if (base === 0 && !hasPrefix && /^0+[1-9]/.test(plain)) invalid();
  if ((radix & (radix - 1)) !== 0 && plain.length > maxDigits) {
    fail(
      'ValueError',
      `Exceeds the limit (${maxDigits} digits) for integer string conversion: value has ${plain.length} digits`,
    );
  }
  requireBits(plain.length * Math.log2(radix));
  let value = 0n;
  for (const character of plain) {
    const digit = Number.parseInt(character, 36);
    if (digit >= radix) invalid();
    value = value * BigInt(radix) + BigInt(digit);
  }
  return integer(sign === '-' ? -value : value);
}

const floatPattern = /^[+-]?(?:(?:\d+(?:_\d+)*)?\.?(?:\d+(?:_\d+)*)?)(?:e[+-]?\d+(?:_\d+)*)?$/;
const named: Readonly<Record<string, number>> = { inf: Infinity, infinity: Infinity, nan: Number.NaN };

/** The float that a text is. Errors: ValueError. Source: Python's `float`. */
export function parseFloatText(text: string): Float {
  const plain = withPlainDigits(text).toLowerCase();
  const [, sign, body] = /^([+-]?)(.*)$/s.exec(plain)!;
  const value = named[body!];
  if (value !== undefined) return new Float(sign === '-' ? -value : value);
  if (!floatPattern.test(plain) || !/^\.?\d/.test(body!)) {
    fail('ValueError', `could not convert string to float: '${text}'`);
  }
  return new Float(Number(plain.replaceAll('_', '')));
}
