/** Values as what an operation asks for, with Python's errors where they are not that. */
import { fail } from '../errors.js';
import { requireElements } from '../limits.js';
import {
  type Dict,
  Dict as DictClass,
  Float,
  isInteger,
  Thing,
  Tuple,
  textOf,
  typeName,
  Undefined,
  type Value,
} from './values.js';

/** The text of a str. Errors: TypeError for another value; `what` begins the message. */
export function toText(value: Value, what: string): string {
  return textOf(value) ?? fail('TypeError', `${what} must be str, not ${typeName(value)}`);
}

/** An int as a number. Errors: TypeError for any other value, floats too; OverflowError for one beyond numbers. */
export function toIndex(value: Value): number {
  if (typeof value === 'number') return value;
  if (typeof value === 'bigint') return fail('OverflowError', "cannot fit 'int' into an index-sized integer");
  if (typeof value === 'boolean') return Number(value);
  return fail('TypeError', `'${typeName(value)}' object cannot be interpreted as an integer`);
}

/** The values in a value, one after another. Errors: TypeError for one that cannot be gone through. */
export function iterate(value: Value): Iterable<Value> {
  if (Array.isArray(value)) return value;
  if (value instanceof Tuple) return value.items;
  if (value instanceof DictClass) return value.keys();
  if (value instanceof Undefined) return [];
  const text = textOf(value);
  // A text goes by code points, as a for loop does.
  if (text !== undefined) return text;
  const values = value instanceof Thing ? value.iterate?.() : undefined;
  return values ?? fail('TypeError', `'${typeName(value)}' object is not iterable`);
}

/** {@link iterate} all at once. Errors: LimitError for more values than a list may have. */
export function listOf(value: Value): Value[] {
  const values: Value[] = [];
  for (const one of iterate(value)) {
    values.push(one);
    requireElements(values.length);
  }
  return values;
}

export function isIterable(value: Value): boolean {
  if (value === null || isInteger(value) || value instanceof Float) return false;
  return !(value instanceof Thing) || value.iterate !== undefined;
}

/** The values of one that are as many as asked for. Errors: ValueError for more or less; TypeError. */
export function unpack(value: Value, count: number): readonly Value[] {
  if (!isIterable(value)) fail('TypeError', `cannot unpack non-iterable ${typeName(value)} object`);
  const values: Value[] = [];
  for (const one of iterate(value)) {
    if (values.length === count) fail('ValueError', `too many values to unpack (expected ${count})`);
    values.push(one);
  }
  if (values.length < count) {
    fail('ValueError', `not enough values to unpack (expected ${count}, got ${values.length})`);
  }
  return values;
}

/** A mapping. Errors: UndefinedError; AttributeError for another value, which has no `items`. */
export function toDict(value: Value): Dict {
  if (value instanceof DictClass) return value;
  if (value instanceof Undefined) return value.refuse();
  return fail('AttributeError', `'${typeName(value)}' object has no attribute 'items'`);
}
