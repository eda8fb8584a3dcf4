/** Floats as text: what `repr`, `%` and `format` write, to the digit. Source: CPython, Python/pystrtod.c. */
import { requireText } from '../limits.js';

/** The decimal digits of a number, without zeros in front; the point is behind the first `point` of them. */
interface Decimal {
  digits: string;
  point: number;
}

export interface FloatStyle {
  /** r: as few digits as tell it from all others. f, e, g as in C; upper case for capitals. */
  type: 'r' | 'f' | 'F' | 'e' | 'E' | 'g' | 'G';
  /** Digits behind the point, or in all for g. */
  precision?: number;
  /** Keep the point and, for g, zeros at the end: `#`. */
  isAlternate?: boolean;
  /** Write `.0` behind an integral number. */
  withPoint?: boolean;
}

/** A float as Python prints it: `0.1`, `1e+16`, `2.0`. */
export const floatText = (value: number): string =>
  signOf(value) + formatMagnitude(Math.abs(value), { type: 'r', withPoint: true });

export const signOf = (value: number) => (value < 0 || Object.is(value, -0) ? '-' : '');

/** A number that is not negative, in a style. */
export function formatMagnitude(value: number, style: FloatStyle): string {
  const { type, precision = 6, isAlternate = false, withPoint = false } = style;
  requireText(precision);
  const isUpper = type === type.toUpperCase();
  const cased = (text: string) => (isUpper ? text.toUpperCase() : text);
  if (Number.isNaN(value)) return cased('nan');
  if (value === Number.POSITIVE_INFINITY) return cased('inf');
  const lower = type.toLowerCase();
  if (lower === 'f') return fixed(toPlaces(value, precision), precision, isAlternate);
  if (lower === 'e') return cased(exponential(toDigits(value, precision + 1), precision, isAlternate));
  const significant = Math.max(1, precision);
  const decimal = lower === 'r' ? shortest(value) : toDigits(value, significant);
  const kept = isAlternate ? decimal.digits : decimal.digits.replace(/0+$/, '') || '0';
  const most = lower === 'r' ? 16 : significant - (withPoint ? 1 : 0);
  if (decimal.point <= -4 || decimal.point > most) {
    return cased(exponential({ ...decimal, digits: kept }, kept.length - 1, isAlternate));
  }
  const places = Math.max(kept.length - decimal.point, withPoint ? 1 : 0);
  return fixed({ digits: kept, point: decimal.point }, places, isAlternate);
}

function fixed({ digits, point }: Decimal, places: number, isAlternate: boolean): string {
  const whole = point > 0 ? digits.slice(0, point).padEnd(point, '0') : '0';
  const behind = point > 0 ? digits.slice(point) : '0'.repeat(-point) + digits;
  if (places <= 0) return isAlternate ? `${whole}.` : whole;
  return `${whole}.${behind.slice(0, places).padEnd(places, '0')}`;
}

function exponential({ digits, point }: Decimal, places: number, isAlternate: boolean): string {
  const exponent = point - 1;
  const behind = places > 0 || isAlternate ? `.${digits.slice(1, places + 1).padEnd(places, '0')}` : '';
  const shown = String(Math.abs(exponent)).padStart(2, '0');
  return `${digits[0]}${behind}e${exponent < 0 ? '-' : '+'}${shown}`;
}

/** As few digits as tell a number from all others, which JavaScript finds too. */
function shortest(value: number): Decimal {
  if (value === 0) return { digits: '0', point: 1 };
  const [, first, behind = '', exponent] = /^(\d)(?:\.(\d+))?e([+-]\d+)$/.exec(value.toExponential())!;
  return { digits: first! + behind, point: Number(exponent) + 1 };
}

/** All digits of a number: an integer and how many of its digits are behind the point. */
function exact(value: number): { integer: bigint; places: number } {
  let [whole, exponent] = [value, 0];
  while (!Number.isInteger(whole)) {
    whole *= 2;
    exponent++;
  }
  return { integer: BigInt(whole) * 5n ** BigInt(exponent), places: exponent };
}

/** The number rounded to so many digits; halves go to the even one. */
function toDigits(value: number, count: number): Decimal {
  if (value === 0) return { digits: '0'.repeat(count), point: 1 };
  const { integer, places } = exact(value);
  const digits = integer.toString();
  const point = digits.length - places;
  const rounded = round(digits, count);
  const carried = rounded.length > Math.max(1, count) ? 1 : 0;
  return { digits: rounded.slice(0, count).padEnd(count, '0'), point: point + carried };
}

/** The number rounded to so many digits behind the point, which may be negative; halves go to the even one. */
function toPlaces(value: number, count: number): Decimal {
  const { integer, places } = exact(value);
  const digits = integer.toString();
  const kept = digits.length - places + count;
  if (kept < 0) return { digits: '0', point: 1 };
  const rounded = round(digits, kept);
  return { digits: rounded, point: rounded.length - count };
}

/** The first `count` digits, the last of them rounded; one more where it carries, `0` for nothing. */
function round(digits: string, count: number): string {
  if (count >= digits.length) return digits.padEnd(count, '0');
  const [kept, next, rest] = [digits.slice(0, count), digits[count]!, digits.slice(count + 1)];
  const isHalf = next === '5' && /^0*$/.test(rest);
  const isUp = isHalf ? Number(kept.at(-1) ?? 0) % 2 === 1 : next >= '5';
  if (!isUp) return kept;
  return (BigInt(kept || 0) + 1n).toString().padStart(count, '0');
}

/** A float rounded to so many digits behind the point, halves to the even one: Python's `round`. */
export function roundFloat(value: number, places: number): number {
  if (!Number.isFinite(value) || places > 323) return value;
  if (places < -308) return 0 * value;
  const { digits, point } = toPlaces(Math.abs(value), places);
  const magnitude = Number(`${digits || '0'}e${point - digits.length}`);
  return signOf(value) === '-' ? -magnitude : magnitude;
}
