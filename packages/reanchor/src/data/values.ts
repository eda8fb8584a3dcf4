/** Values of JSON. */
import { Float } from '../formats/index.js';

/** What kind of value it is, in words. */
export function nameOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  if (value instanceof Float) return 'a number';
  return { string: 'text', object: 'an object', bigint: 'a number' }[typeof value as string] ?? `a ${typeof value}`;
}

/** A number, of Python's floats too; undefined for any other value. */
export function numberOf(value: unknown): number | undefined {
  const number = value instanceof Float ? value.value : value;
  return typeof number === 'number' ? number : undefined;
}
