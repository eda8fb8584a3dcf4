/** JSON whose numbers stay what they are in Python: 2.0 is a float and no 2, large integers keep all digits. */
import { randomUUID } from 'node:crypto';

/** A float of Python, where it has to be told from an integer: 2.0 is none, and prints as `2.0`. */
export class Float {
  constructor(readonly value: number) {}

  valueOf(): number {
    return this.value;
  }

  toJSON(): number {
    return this.value;
  }
}

/** Finds numbers that JSON.parse changes; it may find one in a string, which costs time only. */
const changed = /[:[,]\s*-?(?:\d+\.0+|\d+(?:\.\d+)?[eE][+-]?\d+|\d{16,})\s*[,}\]]/;
const stringOrNumber = /"[^"\\]*(?:\\.[^"\\]*)*"|-?\d[\d.eE+-]*/gs;
const mark = randomUUID();

/**
 * The value of a JSON text. Inside its lists and objects a float with an integral value is a {@link Float} and an integer
 * that no number holds a bigint; the fields of the value itself are plain. Errors: SyntaxError.
 */
export function parseExactJson(text: string): unknown {
  const value: unknown = JSON.parse(text);
  if (!changed.test(text) || typeof value !== 'object' || value === null) return value;
  const fields = value as Record<string, unknown>;
  const nested = Object.keys(fields).filter((name) => holdsNumber(fields[name], false));
  if (nested.length === 0) return value;
  const marked = text.replace(stringOrNumber, (token) => (token.startsWith('"') ? token : `"${mark}${token}"`));
  const exact = JSON.parse(marked, (_key, one: unknown) =>
    typeof one === 'string' && one.startsWith(mark) ? numberOf(one.slice(mark.length)) : one,
  ) as Record<string, unknown>;
  for (const name of nested) fields[name] = exact[name];
  return value;
}

/** Makes the fields of a row of a list plain, as {@link parseExactJson} leaves those of a text that is one row. */
export function plainFields(row: unknown): unknown {
  if (typeof row !== 'object' || row === null || Array.isArray(row)) return row;
  const fields = row as Record<string, unknown>;
  for (const [name, value] of Object.entries(fields)) {
    if (value instanceof Float || typeof value === 'bigint') fields[name] = Number(value);
  }
  return row;
}

/**
 * The JSON of a value, such as `JSON.stringify` writes it, in which the numbers of {@link parseExactJson} stay what they
 * are: a {@link Float} is written as Python does, a bigint with all digits. Errors: TypeError for what has no JSON.
 */
export function exactJson(value: unknown, indent?: number): string {
  const text = JSON.stringify(value, markedNumbers, indent) as string | undefined;
  if (text === undefined) throw new TypeError(`no JSON for a value of type ${typeof value}`);
  return text.includes(mark) ? text.replace(markedNumber, '$1') : text;
}

const markedNumber = new RegExp(`"${mark}([^"]*)"`, 'g');

/** For JSON.stringify, which hands over what `toJSON` made of a Float; its holder has the Float itself. */
function markedNumbers(this: Readonly<Record<string, unknown>>, key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return `${mark}${value}`;
  const own = this[key];
  return own instanceof Float ? `${mark}${floatText(own.value)}` : value;
}

function floatText(value: number): string {
  const digits = Object.is(value, -0) ? '-0' : String(value);
  return /[.e]/.test(digits) ? digits : `${digits}.0`;
}

function numberOf(literal: string): number | bigint | Float {
  const value = Number(literal);
  if (/[.eE]/.test(literal)) return Number.isInteger(value) ? new Float(value) : value;
  return Number.isSafeInteger(value) ? value : BigInt(literal);
}

function holdsNumber(value: unknown, isInside = true): boolean {
  if (typeof value === 'object' && value !== null) return Object.values(value).some((one) => holdsNumber(one));
  return isInside && typeof value === 'number';
}
