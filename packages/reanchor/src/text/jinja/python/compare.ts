/** Whether values are equal, come before each other, or are in each other. */
import { fail } from '../errors.js';
import { deeper } from '../limits.js';
import { compareTexts } from './characters.js';
import { iterate } from './convert.js';
import { DictView, Range } from './things.js';
import { Dict, elementsOf, Float, isNumber, Thing, Tuple, textOf, typeName, Undefined, type Value } from './values.js';

/** `a == b`. */
export function isEqual(a: Value, b: Value, depth = 0): boolean {
  if (typeof a === 'string' && typeof b === 'string') return a === b;
  if (isNumber(a)) return isNumber(b) && compareNumbers(a, b) === 0;
  if (a === b) return true;
  if (a === null || b === null) return false;
  const text = textOf(a);
  if (text !== undefined) return text === textOf(b);
  if (a instanceof Undefined) return b instanceof Undefined;
  const below = deeper(depth);
  if (Array.isArray(a)) return Array.isArray(b) && areEqual(a, b, below);
  if (a instanceof Tuple) return b instanceof Tuple && areEqual(a.items, b.items, below);
  if (a instanceof Dict) return b instanceof Dict && isSameDict(a, b, below);
  if (a instanceof Range && b instanceof Range) return isSameRange(a, b);
  if (a instanceof DictView && b instanceof DictView) return isSameView(a, b);
  return false;
}

/** Whether a value is another one, or equal to it: how elements are compared. */
const isSame = (a: Value, b: Value, depth: number) => a === b || isEqual(a, b, depth);

const areEqual = (a: readonly Value[], b: readonly Value[], depth: number) =>
  a.length === b.length && a.every((value, i) => isSame(value, b[i]!, depth));

function isSameDict(a: Dict, b: Dict, depth: number): boolean {
  if (a.size !== b.size) return false;
  for (const [key, value] of a.entries()) {
    const other = b.get(key);
    if (other === undefined || !isSame(value, other, depth)) return false;
  }
  return true;
}

function isSameRange(a: Range, b: Range): boolean {
  const length = a.length();
  if (length !== b.length()) return false;
  return length === 0 || (a.start === b.start && (length === 1 || a.step === b.step));
}

/** Views of keys and of items are equal as sets. */
function isSameView(a: DictView, b: DictView): boolean {
  if (a.part === 'values' || b.part === 'values' || a.length() !== b.length()) return false;
  for (const value of a.iterate()) if (!contains(b, value)) return false;
  return true;
}

/** Less than, equal or more than 0, as a number is less, equal or more; NaN where one of them is that. */
function compareNumbers(a: number | bigint | boolean | Float, b: number | bigint | boolean | Float): number {
  // JavaScript compares integers with floats without loss.
  const x = a instanceof Float ? a.value : typeof a === 'boolean' ? Number(a) : a;
  const y = b instanceof Float ? b.value : typeof b === 'boolean' ? Number(b) : b;
  if (x < y) return -1;
  if (x > y) return 1;
  // biome-ignore lint/suspicious/noDoubleEquals: a number may be a bigint.
  return x == y ? 0 : Number.NaN;
}

export type Order = '<' | '<=' | '>' | '>=';

/** Whether a value comes before or after another one. Errors: UndefinedError; TypeError for values without an order. */
export function isOrdered(operator: Order, a: Value, b: Value): boolean {
  const order = compare(operator, a, b, 0);
  if (operator === '<') return order < 0;
  if (operator === '<=') return order <= 0;
  return operator === '>' ? order > 0 : order >= 0;
}

function compare(operator: Order, a: Value, b: Value, depth: number): number {
  if (isNumber(a) && isNumber(b)) return compareNumbers(a, b);
  const [text, other] = [textOf(a), textOf(b)];
  if (text !== undefined && other !== undefined) return compareTexts(text, other);
  if (a instanceof Undefined) a.refuse();
  if (b instanceof Undefined) b.refuse();
  const [x, y] = [elementsOf(a), elementsOf(b)];
  if (!x || !y || Array.isArray(a) !== Array.isArray(b)) {
    return fail('TypeError', `'${operator}' not supported between instances of '${typeName(a)}' and '${typeName(b)}'`);
  }
  const below = deeper(depth);
  const shorter = Math.min(x.length, y.length);
  for (let i = 0; i < shorter; i++) {
    if (!isSame(x[i]!, y[i]!, below)) return compare(operator, x[i]!, y[i]!, below);
  }
  return x.length - y.length;
}

/** Values in their order, those that are equal in the order that they had. Errors: those of {@link isOrdered}. */
export function sorted(values: Iterable<Value>, key: (value: Value) => Value, isReversed: boolean): Value[] {
  const keyed = [...values].map((value) => ({ value, by: key(value) }));
  const isBefore = (a: Value, b: Value) => isOrdered('<', a, b);
  keyed.sort((a, b) => {
    const [first, second] = isReversed ? [b.by, a.by] : [a.by, b.by];
    if (isBefore(first, second)) return -1;
    return isBefore(second, first) ? 1 : 0;
  });
  return keyed.map(({ value }) => value);
}

/** `item in container`. Errors: TypeError for a container that holds nothing, and for anything but texts in a text. */
export function contains(container: Value, item: Value): boolean {
  const text = textOf(container);
  if (text !== undefined) {
    const part = textOf(item);
    return part === undefined
      ? fail('TypeError', `'in <string>' requires string as left operand, not ${typeName(item)}`)
      : text.includes(part);
  }
  if (container instanceof Dict) return container.has(item);
  if (container instanceof DictView && container.part === 'keys') return container.dict.has(item);
  const isContainer = !(
    container === null ||
    isNumber(container) ||
    (container instanceof Thing && !container.iterate)
  );
  if (!isContainer) return fail('TypeError', `argument of type '${typeName(container)}' is not iterable`);
  for (const value of iterate(container)) if (isSame(value, item, 0)) return true;
  return false;
}
