/** Values as text: Python's `str` and `repr`. */
import { unsupported } from '../errors.js';
import { deeper, requireText } from '../limits.js';
import { isPrintable } from './characters.js';
import { floatText } from './floats.js';
import { integerText } from './number-text.js';
import { Dict, Float, Markup, Tuple, typeName, Undefined, type Value } from './values.js';

/** What is printed of a value. Errors: those of {@link reprOf}. */
export function stringOf(value: Value): string {
  if (typeof value === 'string') return value;
  if (value instanceof Markup) return value.text;
  if (value instanceof Undefined) return '';
  return reprOf(value);
}

/**
 * A value as Python's source has it. Errors: Unsupported for what prints as an address in memory, which no two runs
 * share; LimitError for values too deep in each other.
 */
export function reprOf(value: Value, depth = 0): string {
  if (typeof value === 'string') return quote(value);
  if (value === null) return 'None';
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (typeof value === 'number' || typeof value === 'bigint') return integerText(value);
  if (value instanceof Float) return floatText(value.value);
  if (value instanceof Markup) return `Markup(${quote(value.text)})`;
  if (value instanceof Undefined) return 'Undefined';
  const below = deeper(depth);
  if (Array.isArray(value)) return `[${commaList(value, below)}]`;
  if (value instanceof Tuple) return `(${commaList(value.items, below)}${value.items.length === 1 ? ',' : ''})`;
  if (value instanceof Dict) return reprOfDict(value, below);
  return value.repr?.(below) ?? unsupported(`the text of a ${typeName(value)}, an address in memory,`);
}

/** Values with commas between; what lists, tuples and views print. */
export function commaList(values: Iterable<Value>, depth: number): string {
  let text = '';
  for (const value of values) {
    text += text === '' ? reprOf(value, depth) : `, ${reprOf(value, depth)}`;
    requireText(text.length);
  }
  return text;
}

export function reprOfDict(dict: Dict, depth: number): string {
  let text = '';
  for (const [key, value] of dict.entries()) {
    text += `${text === '' ? '' : ', '}${reprOf(key, depth)}: ${reprOf(value, depth)}`;
    requireText(text.length);
  }
  return `{${text}}`;
}

const escapes: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t', '\\': '\\\\' };

/** A text in quotes, with escapes for what does not print. */
export function quote(text: string): string {
  const mark = text.includes("'") && !text.includes('"') ? '"' : "'";
  if (/^[\x20-\x26\x28-\x5b\x5d-\x7e]*$/.test(text)) return mark + text + mark;
  let quoted = '';
  for (const point of text) {
    if (point === mark) quoted += `\\${mark}`;
    else quoted += escapes[point] ?? (isPrintable(point) ? point : escapeOf(point));
  }
  return mark + quoted + mark;
}

/** `ascii` of Python: the repr with escapes for all that is not ASCII. */
export const asciiOf = (value: Value): string => reprOf(value).replace(/[^\x20-\x7e]/gu, escapeOf);

function escapeOf(point: string): string {
  const code = point.codePointAt(0)!;
  const hex = code.toString(16);
  if (code < 0x100) return `\\x${hex.padStart(2, '0')}`;
  return code < 0x10000 ? `\\u${hex.padStart(4, '0')}` : `\\U${hex.padStart(8, '0')}`;
}
