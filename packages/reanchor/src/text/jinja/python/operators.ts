/** The operators of expressions on values of any type. */
import { fail } from '../errors.js';
import { requireElements } from '../limits.js';
import { toIndex } from './convert.js';
import { escapeMarkup, like } from './markup.js';
import { add, divide, floorDivide, multiply, type Numeric, negate, power, remainder, subtract } from './numbers.js';
import { formatPercent } from './percent.js';
import { repeatText } from './repeat.js';
import {
  elementsOf,
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

export type BinaryOperator = '+' | '-' | '*' | '/' | '//' | '%' | '**';

const arithmetic = {
  '+': add,
  '-': subtract,
  '*': multiply,
  '/': divide,
  '//': floorDivide,
  '%': remainder,
  '**': power,
};

/** `a operator b`. Errors: UndefinedError; TypeError for values that it is not for; those of arithmetic. */
export function binary(operator: BinaryOperator, a: Value, b: Value): Value {
  if (isNumber(a) && isNumber(b)) return arithmetic[operator](numeric(a), numeric(b));
  if (operator === '%' && isText(a)) return formatPercent(a, b);
  if (a instanceof Undefined) return a.refuse();
  if (b instanceof Undefined) return b.refuse();
  const result = operator === '+' ? joined(a, b) : operator === '*' ? repeated(a, b) : undefined;
  return result ?? unsuited(operator, a, b);
}

const numeric = (value: number | bigint | boolean | Numeric): Numeric =>
  typeof value === 'boolean' ? Number(value) : value;

function joined(a: Value, b: Value): Value | undefined {
  if (typeof a === 'string' && typeof b === 'string') return a + b;
  if (isText(a) && isText(b)) return new Markup(escapeMarkup(a).text + escapeMarkup(b).text);
  if (Array.isArray(a) && Array.isArray(b)) return concatenated(a, b);
  return a instanceof Tuple && b instanceof Tuple ? new Tuple(concatenated(a.items, b.items)) : undefined;
}

function concatenated(a: readonly Value[], b: readonly Value[]): Value[] {
  requireElements(a.length + b.length);
  return [...a, ...b];
}

function repeated(a: Value, b: Value): Value | undefined {
  const [sequence, count] = isInteger(a) ? [b, a] : [a, b];
  const text = textOf(sequence);
  const elements = elementsOf(sequence);
  if (!isInteger(count) || (text === undefined && !elements)) return undefined;
  const times = Math.max(0, toIndex(count));
  if (text !== undefined) return like(sequence, repeatText(text, times));
  const repeated = repeatElements(elements!, times);
  return Array.isArray(sequence) ? repeated : new Tuple(repeated);
}

function repeatElements(elements: readonly Value[], times: number): Value[] {
  requireElements(elements.length * times);
  return Array.from({ length: elements.length && times }, () => elements).flat();
}

function unsuited(operator: BinaryOperator, a: Value, b: Value): never {
  const [left, right] = [typeName(a), typeName(b)];
  if (operator === '+' && (isText(a) || Array.isArray(a) || a instanceof Tuple)) {
    return fail('TypeError', `can only concatenate ${left} (not "${right}") to ${left}`);
  }
  const shown = operator === '**' ? '** or pow()' : operator;
  return fail('TypeError', `unsupported operand type(s) for ${shown}: '${left}' and '${right}'`);
}

/** `-value` or `+value`. Errors: UndefinedError; TypeError for anything but numbers. */
export function unary(operator: '-' | '+', value: Value): Value {
  if (value instanceof Undefined) return value.refuse();
  if (!isNumber(value)) return fail('TypeError', `bad operand type for unary ${operator}: '${typeName(value)}'`);
  return operator === '-' ? negate(numeric(value)) : numeric(value);
}
