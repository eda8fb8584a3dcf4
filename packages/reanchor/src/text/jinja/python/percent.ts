/** Texts with places for values: `'%s of %(n)05.2f' % values`. Source: CPython, `PyUnicode_Format`. */
import { fail } from '../errors.js';
import { lengthOf, slicePoints } from './characters.js';
import { toIndex } from './convert.js';
import { type FloatStyle, formatMagnitude, signOf } from './floats.js';
import { escapeMarkup, like } from './markup.js';
import { integerText } from './number-text.js';
import { type Int, toFloat, truncate } from './numbers.js';
import { repeatText } from './repeat.js';
import { asciiOf, reprOf, stringOf } from './repr.js';
import { Range } from './things.js';
import {
  Dict,
  Float,
  hasElements,
  isInteger,
  isNumber,
  isText,
  Markup,
  Tuple,
  textOf,
  typeName,
  Undefined,
  type Value,
} from './values.js';

const place = /%(?:\(((?:[^()]|\([^()]*\))*)\))?([-+ #0]*)(\*|\d+)?(?:\.(\*|\d+)?)?[hlL]?(.?)/gsu;

/** A place for a value, as it is written. */
interface ConversionSpec {
  flags: string;
  width: number;
  precision: number | undefined;
  type: string;
}

/** The values that places take one after another, or by name. */
class Values {
  #next = 0;
  #all: readonly Value[];

  constructor(private readonly given: Value) {
    this.#all = given instanceof Tuple ? given.items : [given];
  }

  next(): Value {
    const value = this.#all[this.#next++];
    return value === undefined ? fail('TypeError', 'not enough arguments for format string') : value;
  }

  /** The value of a name; undefined for a name that does not end. */
  named(name: string | undefined): Value {
    if (this.given instanceof Undefined) return this.given.refuse();
    if (!(this.given instanceof Dict)) return fail('TypeError', 'format requires a mapping');
    if (name === undefined) return fail('ValueError', 'incomplete format key');
    // A place without a name has no value behind one that has one.
    this.#all = [];
    const value = this.given.get(name);
    return value === undefined ? fail('KeyError', `'${name}'`) : value;
  }

  /** Errors: TypeError for values that no place took, unless they may be a mapping. */
  end(): void {
    const { given } = this;
    const mayBeMapping = hasElements(given) || given instanceof Range;
    if (!(given instanceof Tuple || isText(given)) && mayBeMapping) return;
    if (this.#next < this.#all.length) {
      fail('TypeError', 'not all arguments converted during string formatting');
    }
  }
}

/**
 * A text with values in its places. What is put into escaped text is escaped. Errors: TypeError for values that are too
 * few, too many or of the wrong type; ValueError for a place that is not one; KeyError.
 */
export function formatPercent(format: string | Markup, given: Value): string | Markup {
  const values = new Values(given);
  const isEscaped = format instanceof Markup;
  const text = stringOf(format).replace(place, (all, name: string | undefined, flags, width, precision, type, at) => {
    if (all === '%%') return '%';
    if (type === '') return fail('ValueError', 'incomplete format');
    const value = name === undefined && type !== '(' ? undefined : values.named(name);
    const number = (digits: string | undefined) =>
      digits === '*' ? toIndex(values.next()) : digits === undefined ? undefined : Number(digits);
    const wide = number(width) ?? 0;
    const spec: ConversionSpec = {
      flags: wide < 0 ? `${flags}-` : flags,
      width: Math.abs(wide),
      precision: all.includes('.') ? Math.max(0, number(precision) ?? 0) : undefined,
      type,
    };
    const shown = convert(value === undefined ? values.next() : value, spec, at + all.length - 1, isEscaped);
    return pad(shown, spec);
  });
  values.end();
  return like(format, text);
}

/** A value without its padding: its sign or prefix, and the rest. */
interface Shown {
  head: string;
  body: string;
  isNumber: boolean;
}

function convert(value: Value, spec: ConversionSpec, at: number, isEscaped: boolean): Shown {
  const { type, precision } = spec;
  if ('sra'.includes(type)) {
    const text = type === 's' ? stringOf(value) : type === 'r' ? reprOf(value) : asciiOf(value);
    const safe = isEscaped ? escapeMarkup(type === 's' ? value : text).text : text;
    return plain(precision === undefined ? safe : slicePoints(safe, 0, precision));
  }
  if (type === 'c') return plain(character(value));
  if ('diu'.includes(type)) return decimal(value, spec);
  if ('oxX'.includes(type)) return inBase(value, spec);
  if ('eEfFgG'.includes(type)) return float(value, spec);
  const code = type.codePointAt(0)!.toString(16);
  return fail('ValueError', `unsupported format character '${type}' (0x${code}) at index ${at}`);
}

const plain = (body: string): Shown => ({ head: '', body, isNumber: false });

function character(value: Value): string {
  const text = textOf(value);
  if (text !== undefined && lengthOf(text) === 1) return text;
  if (!isInteger(value)) return fail('TypeError', '%c requires int or char');
  const code = Number(value);
  return code >= 0 && code < 0x110000
    ? String.fromCodePoint(code)
    : fail('OverflowError', '%c arg not in range(0x110000)');
}

function decimal(value: Value, spec: ConversionSpec): Shown {
  if (value instanceof Undefined) return value.refuse();
  if (!isNumber(value)) {
    return fail('TypeError', `%${spec.type} format: a real number is required, not ${typeName(value)}`);
  }
  const integer = value instanceof Float ? truncate(value.value) : toInt(value);
  return signed(integerText(integer), spec);
}

const bases: Readonly<Record<string, number>> = { o: 8, x: 16, X: 16 };

function inBase(value: Value, spec: ConversionSpec): Shown {
  const { type, flags } = spec;
  if (!isInteger(value)) {
    return fail('TypeError', `%${type} format: an integer is required, not ${typeName(value)}`);
  }
  const shown = signed(toInt(value).toString(bases[type]), spec);
  const prefix = flags.includes('#') ? `0${type}` : '';
  const body = type === 'X' ? shown.body.toUpperCase() : shown.body;
  return { ...shown, head: shown.head + prefix, body };
}

function float(value: Value, spec: ConversionSpec): Shown {
  if (value instanceof Undefined) return value.refuse();
  if (!isNumber(value)) {
    return fail('TypeError', `must be real number, not ${typeName(value)}`);
  }
  const number = toFloat(typeof value === 'boolean' ? Number(value) : value);
  const style: FloatStyle = { type: spec.type as FloatStyle['type'], isAlternate: spec.flags.includes('#') };
  if (spec.precision !== undefined) style.precision = spec.precision;
  return signed(signOf(number) + formatMagnitude(Math.abs(number), style), { ...spec, precision: undefined });
}

const toInt = (value: Int | boolean): Int => (typeof value === 'boolean' ? Number(value) : value);

/** A number with its sign apart, and with as many digits as the precision asks for. */
function signed(text: string, { flags, precision = 0 }: ConversionSpec): Shown {
  const isNegative = text.startsWith('-');
  const digits = isNegative ? text.slice(1) : text;
  const plus = flags.includes('+') ? '+' : flags.includes(' ') ? ' ' : '';
  const body = repeatText('0', precision - digits.length) + digits;
  return { head: isNegative ? '-' : plus, body, isNumber: true };
}

function pad({ head, body, isNumber }: Shown, { flags, width }: ConversionSpec): string {
  const missing = width - lengthOf(head + body);
  if (missing <= 0) return head + body;
  if (flags.includes('-')) return head + body + repeatText(' ', missing);
  if (flags.includes('0') && isNumber) return head + repeatText('0', missing) + body;
  return repeatText(' ', missing) + head + body;
}
