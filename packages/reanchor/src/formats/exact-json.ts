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

/** Whether a value of JSON is an object; a list, null and a {@link Float} are none. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Float);
}

/** The names of an object's fields in the order of the text, where JavaScript has another: names such as 2024. */
const keyOrder = Symbol('the order of keys');

/** The fields of an object of {@link parseExactJson} in the order of the text. */
export function entriesInOrder(value: object): [string, unknown][] {
  const fields = value as Readonly<Record<string | symbol, unknown>>;
  const order = (fields[keyOrder] ?? []) as readonly string[];
  const ordered = order.filter((name) => Object.hasOwn(fields, name)).map((name) => [name, fields[name]] as const);
  const others = Object.entries(fields).filter(([name]) => !order.includes(name));
  return [...ordered, ...others] as [string, unknown][];
}

/**
 * Finds numbers that JSON.parse changes, and keys that it puts first; it may find some in a string, which costs time
 * only.
 */
const changed = /[:[,]\s*-?(?:\d+\.0+|\d+(?:\.\d+)?[eE][+-]?\d+|\d{16,})\s*[,}\]]|"\d{1,10}"\s*:/;
const stringOrNumber = /"[^"\\]*(?:\\.[^"\\]*)*"|-?\d[\d.eE+-]*/gs;
const mark = randomUUID();
const [number, digits] = [`${mark}n`, `${mark}d`];

/**
 * The value of a JSON text, in which a float with an integral value is a {@link Float}, an integer that no number holds
 * a bigint, and fields are in the order that {@link entriesInOrder} tells. Errors: SyntaxError.
 */
export function parseExactJson(text: string): unknown {
  const value: unknown = JSON.parse(text);
  if (!changed.test(text)) return value;
  const marked = text.replace(stringOrNumber, (token) => {
    if (!token.startsWith('"')) return `"${number}${token}"`;
    return /^"\d{1,10}"$/.test(token) ? `"${digits}${token.slice(1)}` : token;
  });
  return JSON.parse(marked, (_key, one: unknown) => {
    if (typeof one === 'string' && one.startsWith(number)) return numberOf(one.slice(number.length));
    if (typeof one === 'string') return withoutMark(one);
    return typeof one === 'object' && one !== null && !Array.isArray(one) ? inOrder(one) : one;
  });
}

/** {@link parseExactJson}, or undefined for what is no JSON. */
export function exactJsonOf(text: string): unknown {
  try {
    return parseExactJson(text);
  } catch {
    return undefined;
  }
}

const withoutMark = (text: string) => (text.startsWith(digits) ? text.slice(digits.length) : text);

function inOrder(value: object): object {
  const names = Object.keys(value);
  if (!names.some((name) => name.startsWith(digits))) return value;
  const entries = Object.entries(value).map(([name, field]) => [withoutMark(name), field] as const);
  return { ...Object.fromEntries(entries), [keyOrder]: names.map(withoutMark) };
}

/**
 * Makes the fields of a row plain numbers, whatever the row has inside of them: for rows whose own numbers are counts.
 */
export function plainFields(row: unknown): unknown {
  if (typeof row !== 'object' || row === null || Array.isArray(row)) return row;
  const fields = row as Record<string, unknown>;
  for (const [name, value] of Object.entries(fields)) {
    if (value instanceof Float || typeof value === 'bigint') fields[name] = Number(value);
  }
  return row;
}

function numberOf(literal: string): number | bigint | Float {
  const value = Number(literal);
  if (/[.eE]/.test(literal)) return Number.isInteger(value) ? new Float(value) : value;
  return Number.isSafeInteger(value) ? value : BigInt(literal);
}

/**
 * The JSON of a value, such as `JSON.stringify` writes it, which {@link parseExactJson} reads as the same value: a
 * {@link Float} is written as Python does, a bigint with all digits, fields in their order. Errors: TypeError for what
 * has no JSON.
 */
export function exactJson(value: unknown, indent?: number): string {
  const text = JSON.stringify(value, marked, indent) as string | undefined;
  if (text === undefined) throw new TypeError(`no JSON for a value of type ${typeof value}`);
  return text.includes(mark) ? text.replace(markedText, (_all, literal: string | undefined) => literal ?? '"') : text;
}

/** For JSON.stringify, which hands over what `toJSON` made of a Float; its holder has the Float itself. */
function marked(this: Readonly<Record<string, unknown>>, key: string, one: unknown): unknown {
  const given = this[key];
  if (typeof given === 'bigint') return `${number}${given}`;
  if (given instanceof Float) return Number.isFinite(given.value) ? `${number}${literalOf(given.value)}` : null;
  if (typeof one !== 'object' || one === null || !(keyOrder in one)) return one;
  return Object.fromEntries(entriesInOrder(one).map(([name, field]) => [`${digits}${name}`, field]));
}

const markedText = new RegExp(`"${number}([^"]*)"|"${digits}`, 'g');

/** An integral number as a float is written. */
function literalOf(value: number): string {
  const text = Object.is(value, -0) ? '-0' : String(value);
  return /e/.test(text) ? text : `${text}.0`;
}
