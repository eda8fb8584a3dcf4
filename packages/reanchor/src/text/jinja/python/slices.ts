/** Elements and slices of texts, lists, tuples and ranges, counted as Python counts: from the end below 0. */
import { fail } from '../errors.js';
import { requireElements } from '../limits.js';
import { lengthOf, slicePoints } from './characters.js';
import { Range } from './things.js';
import {
  Dict,
  elementsOf,
  isHashable,
  isInteger,
  Markup,
  Thing,
  Tuple,
  textOf,
  typeName,
  Undefined,
  type Value,
} from './values.js';

/** The number of elements. Errors: TypeError for a value without one. */
export function sizeOf(value: Value): number {
  const text = textOf(value);
  if (text !== undefined) return lengthOf(text);
  const elements = elementsOf(value);
  if (elements) return elements.length;
  if (value instanceof Dict) return value.size;
  if (value instanceof Undefined) return 0;
  const length = value instanceof Thing ? value.length?.() : undefined;
  return length ?? fail('TypeError', `object of type '${typeName(value)}' has no len()`);
}

/**
 * `value[key]` as Python has it; undefined for a key that is not there (KeyError, IndexError) or cannot be one
 * (TypeError). Errors: UndefinedError for an undefined value.
 */
export function elementAt(value: Value, key: Value): Value | undefined {
  if (value instanceof Undefined) return value.refuse();
  if (value instanceof Dict) return isHashable(key) ? value.get(key) : undefined;
  if (!isInteger(key)) return undefined;
  const place = Number(key);
  const elements = elementsOf(value);
  if (elements) return elements[place < 0 ? place + elements.length : place];
  if (value instanceof Range) {
    const length = value.length();
    const index = place < 0 ? place + length : place;
    return index >= 0 && index < length ? value.at(index) : undefined;
  }
  const text = textOf(value);
  if (text === undefined) return undefined;
  const point = pointAt(text, place);
  return point === undefined || typeof value === 'string' ? point : new Markup(point);
}

function pointAt(text: string, place: number): string | undefined {
  const length = lengthOf(text);
  const index = place < 0 ? place + length : place;
  return index >= 0 && index < length ? slicePoints(text, index, index + 1) : undefined;
}

/** Where a slice begins and ends, and its step. */
interface Bounds {
  start: number;
  stop: number;
  step: number;
}

/** `value[start:stop:step]`. Errors: UndefinedError; TypeError for what has no slices; ValueError for a step of 0. */
export function sliceOf(value: Value, start: Value, stop: Value, step: Value): Value {
  if (value instanceof Undefined) return value.refuse();
  const text = textOf(value);
  if (text !== undefined) {
    const cut = sliceText(text, boundsOf(lengthOf(text), start, stop, step));
    return typeof value === 'string' ? cut : new Markup(cut);
  }
  const elements = elementsOf(value);
  if (elements) {
    const cut = sliceElements(elements, boundsOf(elements.length, start, stop, step));
    return Array.isArray(value) ? cut : new Tuple(cut);
  }
  if (value instanceof Range) {
    const bounds = boundsOf(value.length(), start, stop, step);
    return new Range(value.at(bounds.start), value.at(bounds.stop), value.step * bounds.step);
  }
  if (value instanceof Dict) return fail('TypeError', "unhashable type: 'slice'");
  return fail('TypeError', `'${typeName(value)}' object is not subscriptable`);
}

/** Source: CPython's `PySlice_AdjustIndices`. */
function boundsOf(length: number, start: Value, stop: Value, stepValue: Value): Bounds {
  const step = stepValue === null ? 1 : sliceIndex(stepValue);
  if (step === 0) fail('ValueError', 'slice step cannot be zero');
  const [lowest, highest] = step < 0 ? [-1, length - 1] : [0, length];
  const adjust = (bound: Value, byDefault: number) => {
    if (bound === null) return byDefault;
    const index = sliceIndex(bound);
    return Math.min(highest, Math.max(lowest, index < 0 ? index + length : index));
  };
  return { step, start: adjust(start, step < 0 ? highest : lowest), stop: adjust(stop, step < 0 ? lowest : highest) };
}

function sliceIndex(value: Value): number {
  if (isInteger(value)) return Number(value);
  return fail('TypeError', 'slice indices must be integers or None or have an __index__ method');
}

function sliceText(text: string, { start, stop, step }: Bounds): string {
  if (step === 1) return start < stop ? slicePoints(text, start, stop) : '';
  requireElements(text.length);
  return sliceElements(Array.from(text), { start, stop, step }).join('');
}

function sliceElements<T>(elements: readonly T[], { start, stop, step }: Bounds): T[] {
  if (step === 1) return elements.slice(start, Math.max(start, stop));
  const cut: T[] = [];
  for (let i = start; step < 0 ? i > stop : i < stop; i += step) cut.push(elements[i]!);
  return cut;
}

/**
 * Where `find`, `count` and the like look in a text: from and to which UTF-16 unit, of positions in code points that
 * are cut to the text. Undefined where the start is behind the end.
 */
export function searchRange(text: string, start: Value, stop: Value): { from: number; to: number } | undefined {
  const length = lengthOf(text);
  const at = (bound: Value, byDefault: number) => {
    if (bound === null) return byDefault;
    const index = sliceIndex(bound);
    return Math.max(0, index < 0 ? index + length : index);
  };
  const [first, last] = [at(start, 0), Math.min(length, at(stop, length))];
  if (first > last) return undefined;
  if (length === text.length) return { from: first, to: last };
  return { from: slicePoints(text, 0, first).length, to: slicePoints(text, 0, last).length };
}
