/** Values as a format asks for them: `format(value, '>10,.2f')`. Source: Python's format specifications. */
import { fail } from '../errors.js';
import { requireText } from '../limits.js';
import { lengthOf, slicePoints } from './characters.js';
import { type FloatStyle, formatMagnitude, signOf } from './floats.js';
import { integerText } from './number-text.js';
import { type Int, toFloat } from './numbers.js';
import { padText } from './repeat.js';
import { stringOf } from './repr.js';
import { Float, isInteger, Markup, typeName, type Value } from './values.js';

interface Spec {
  fill: string;
  align: '<' | '>' | '^' | '=' | undefined;
  sign: string;
  withoutNegativeZero: boolean;
  isAlternate: boolean;
  hasZero: boolean;
  width: number;
  grouping: '' | ',' | '_';
  precision: number | undefined;
  type: string;
}

const pattern =
  /^(?:(?<fill>.)?(?<align>[<>=^]))?(?<sign>[-+ ]?)(?<zero>z?)(?<alternate>#?)(?<zeros>0?)(?<width>\d*)(?<grouping>[,_]?)(?:\.(?<precision>\d+))?(?<type>.?)$/su;

/** A value in a format. Errors: ValueError for a format that is not one, or not one for the value; TypeError. */
export function formatValue(value: Value, format: string): string {
  if (format === '') return stringOf(value);
  const isString = typeof value === 'string';
  if (!isString && !isInteger(value) && !(value instanceof Float)) {
    if (value instanceof Markup) return fail('ValueError', 'Unsupported format specification for Markup.');
    return fail('TypeError', `unsupported format string passed to ${typeName(value)}.__format__`);
  }
  const spec = parse(format, value);
  requireText(spec.width);
  requireText(spec.precision ?? 0);
  if (isString) return formatText(value, spec);
  if (value instanceof Float) return formatFloat(value.value, spec, value);
  return formatInteger(typeof value === 'boolean' ? Number(value) : value, spec, value);
}

function parse(format: string, value: Value): Spec {
  const groups = pattern.exec(format)?.groups as Record<string, string | undefined> | undefined;
  if (!groups) {
    return fail('ValueError', `Invalid format specifier '${format}' for object of type '${typeName(value)}'`);
  }
  const hasZero = groups.zeros !== '' && groups.align === undefined;
  return {
    fill: groups.fill ?? (groups.zeros ? '0' : ' '),
    align: groups.align as Spec['align'],
    sign: groups.sign!,
    withoutNegativeZero: groups.zero !== '',
    isAlternate: groups.alternate !== '',
    hasZero,
    width: Number(groups.width),
    grouping: groups.grouping as Spec['grouping'],
    precision: groups.precision === undefined ? undefined : Number(groups.precision),
    type: groups.type!,
  };
}

function unknown(type: string, value: Value): never {
  return fail('ValueError', `Unknown format code '${type}' for object of type '${typeName(value)}'`);
}

function requireNegativeZero({ withoutNegativeZero }: Spec, type: string): void {
  if (withoutNegativeZero) {
    fail('ValueError', `Negative zero coercion (z) not allowed in format specifier with ${type}`);
  }
}

function formatText(text: string, spec: Spec): string {
  const { align, sign, isAlternate, grouping, precision, type } = spec;
  if (type !== '' && type !== 's') unknown(type, text);
  requireNegativeZero(spec, 'string');
  if (sign !== '') fail('ValueError', 'Sign not allowed in string format specifier');
  if (isAlternate) fail('ValueError', 'Alternate form (#) not allowed in string format specifier');
  if (grouping !== '') fail('ValueError', `Cannot specify '${grouping}' with 's'.`);
  if (align === '=') fail('ValueError', "'=' alignment not allowed in string format specifier");
  const cut = precision === undefined ? text : slicePoints(text, 0, precision);
  return padText(cut, spec.width, (align as '<' | '>' | '^' | undefined) ?? '<', spec.fill);
}

const bases: Readonly<Record<string, number>> = { b: 2, o: 8, x: 16, X: 16 };

function formatInteger(value: Int, spec: Spec, given: Value): string {
  const { type, grouping, isAlternate } = spec;
  if ('eEfFgG%'.includes(type) && type !== '') return formatFloat(toFloat(value), spec, given);
  requireNegativeZero(spec, 'integer');
  if (spec.precision !== undefined) fail('ValueError', 'Precision not allowed in integer format specifier');
  if (type === 'c') return formatCharacter(value, spec);
  const base = bases[type] ?? 10;
  if (base === 10 && !'dn'.includes(type)) unknown(type, given);
  if (grouping === ',' && base !== 10) fail('ValueError', `Cannot specify ',' with '${type}'.`);
  if (grouping !== '' && type === 'n') fail('ValueError', `Cannot specify '${grouping}' with 'n'.`);
  const digits = base === 10 ? integerText(value) : value.toString(base);
  const magnitude = digits.replace('-', '');
  const prefix = isAlternate && base !== 10 ? `0${type}` : '';
  const body = type === 'X' ? magnitude.toUpperCase() : magnitude;
  return layOut(value < 0 ? '-' : '', prefix, body, '', base === 10 ? 3 : 4, spec);
}

function formatCharacter(value: Int, spec: Spec): string {
  if (spec.sign !== '') fail('ValueError', "Sign not allowed with integer format specifier 'c'");
  if (spec.isAlternate) fail('ValueError', "Alternate form (#) not allowed with integer format specifier 'c'");
  if (spec.grouping !== '') fail('ValueError', `Cannot specify '${spec.grouping}' with 'c'.`);
  if (value < 0 || value > 0x10ffff) fail('OverflowError', '%c arg not in range(0x110000)');
  return layOut('', '', String.fromCodePoint(Number(value)), '', 0, { ...spec, sign: '' });
}

function formatFloat(value: number, spec: Spec, given: Value): string {
  const { type, isAlternate, precision, grouping } = spec;
  if (!'eEfFgGn%'.includes(type)) unknown(type, given);
  if (grouping !== '' && type === 'n') fail('ValueError', `Cannot specify '${grouping}' with 'n'.`);
  const isShortest = type === '' && precision === undefined;
  const letter = isShortest ? 'r' : type === '%' ? 'f' : type === '' || type === 'n' ? 'g' : type;
  const style: FloatStyle = { type: letter as FloatStyle['type'], isAlternate, withPoint: type === '' };
  if (precision !== undefined) style.precision = precision;
  const text = formatMagnitude(Math.abs(type === '%' ? value * 100 : value), style);
  const isZero = spec.withoutNegativeZero && !/[1-9]/.test(text.split('e')[0]!);
  const [, body, tail] = /^(\d*)(.*)$/s.exec(text)!;
  const percent = type === '%' ? '%' : '';
  if (body === '') return layOut(signOf(value), '', text + percent, '', 0, spec);
  return layOut(isZero ? '' : signOf(value), '', body!, tail! + percent, 3, spec);
}

/** Sign, prefix, digits in groups and what follows them, filled up to the width. */
function layOut(minus: string, prefix: string, digits: string, tail: string, group: number, spec: Spec): string {
  const { grouping, width, hasZero, sign } = spec;
  const plus = sign.startsWith('+') ? '+' : sign.startsWith(' ') ? ' ' : '';
  const head = (minus || plus) + prefix;
  const align = spec.align ?? (hasZero ? '=' : '>');
  const fillsWithZeros = align === '=' && spec.fill === '0';
  const room = width - lengthOf(head + tail);
  const body = grouped(digits, grouping, group, fillsWithZeros ? room : 0);
  if (align !== '=') return padText(head + body + tail, width, align, spec.fill);
  return head + padText(body + tail, width - lengthOf(head), '>', spec.fill);
}

/** Digits with a mark between groups; zeros before them count as digits up to a width. */
function grouped(digits: string, mark: string, size: number, width: number): string {
  if (mark === '' || size === 0) return digits;
  let count = digits.length;
  while (count + Math.floor((count - 1) / size) < width) count++;
  const whole = digits.padStart(count, '0');
  const groups: string[] = [];
  for (let end = count; end > 0; end -= size) groups.push(whole.slice(Math.max(0, end - size), end));
  return groups.reverse().join(mark);
}
