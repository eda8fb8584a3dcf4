/** Tests of values: `x is defined`. */
import { isLower, isUpper } from './python/characters.js';
import { contains, isEqual, isOrdered, type Order } from './python/compare.js';
import { isIterable } from './python/convert.js';
import { binary } from './python/operators.js';
import { stringOf } from './python/repr.js';
import { type Builtin, builtins, type Run } from './python/signature.js';
import { Range } from './python/things.js';
import {
  Dict,
  elementsOf,
  Float,
  isInteger,
  isNumber,
  isText,
  Markup,
  Thing,
  Undefined,
  type Value,
} from './python/values.js';

/** Whether two values are one object. Texts and numbers that are equal count as one. */
function isSameObject(a: Value, b: Value): boolean {
  if (a instanceof Float && b instanceof Float) return Object.is(a.value, b.value);
  return a === b;
}

const isSequence = (value: Value) =>
  isText(value) ||
  elementsOf(value) !== undefined ||
  value instanceof Dict ||
  value instanceof Range ||
  value instanceof Undefined;

const leaves = (divisor: number, rest: number) => (value: Value) => isEqual(binary('%', value, divisor), rest);
const order = (operator: Order): readonly [string, Run] => ['a b /', (a, b) => isOrdered(operator, a, b)];
const equal: readonly [string, Run] = ['a b /', (a, b) => isEqual(a, b)];
const unequal: readonly [string, Run] = ['a b /', (a, b) => !isEqual(a, b)];

export const valueTests: ReadonlyMap<string, Builtin> = builtins({
  odd: ['value', leaves(2, 1)],
  even: ['value', leaves(2, 0)],
  divisibleby: ['value num', (value, divisor) => isEqual(binary('%', value, divisor), 0)],
  defined: ['value', (value) => !(value instanceof Undefined)],
  undefined: ['value', (value) => value instanceof Undefined],
  none: ['value', (value) => value === null],
  boolean: ['value', (value) => typeof value === 'boolean'],
  false: ['value', (value) => value === false],
  true: ['value', (value) => value === true],
  integer: ['value', (value) => isInteger(value) && typeof value !== 'boolean'],
  float: ['value', (value) => value instanceof Float],
  lower: ['value', (value) => isLower(stringOf(value))],
  upper: ['value', (value) => isUpper(stringOf(value))],
  string: ['value', isText],
  mapping: ['value', (value) => value instanceof Dict],
  number: ['value', isNumber],
  sequence: ['value', isSequence],
  iterable: ['value', isIterable],
  callable: ['obj /', (value) => value instanceof Undefined || (value instanceof Thing && value.call !== undefined)],
  sameas: ['value other', isSameObject],
  escaped: ['value', (value) => value instanceof Markup],
  in: ['value seq', (value, values) => contains(values, value)],
  '==': equal,
  eq: equal,
  equalto: equal,
  '!=': unequal,
  ne: unequal,
  '>': order('>'),
  gt: order('>'),
  greaterthan: order('>'),
  ge: order('>='),
  '>=': order('>='),
  '<': order('<'),
  lt: order('<'),
  lessthan: order('<'),
  '<=': order('<='),
  le: order('<='),
});
