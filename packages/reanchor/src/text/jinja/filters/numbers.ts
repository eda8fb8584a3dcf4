/** Filters of numbers. */
import { type ErrorKind, fail, rescue } from '../errors.js';
import { toIndex } from '../python/convert.js';
import { formatMagnitude, roundFloat, signOf } from '../python/floats.js';
import { parseFloatText, parseInteger } from '../python/number-text.js';
import { divide, type Int, multiply, type Numeric, power, toFloat, truncate } from '../python/numbers.js';
import { unary } from '../python/operators.js';
import { builtins } from '../python/signature.js';
import { Float, hashOf, integer, isNumber, isTrue, textOf, typeName, Undefined, type Value } from '../python/values.js';

const plain = (value: number | bigint | boolean | Float): Numeric =>
  typeof value === 'boolean' ? Number(value) : value;

/** The number of a value as Python's `float` gives it. Errors: UndefinedError, TypeError, ValueError. */
function floatOf(value: Value): Float {
  const text = textOf(value);
  if (text !== undefined) return parseFloatText(text);
  if (value instanceof Undefined) return value.refuse();
  if (isNumber(value)) return new Float(toFloat(plain(value)));
  return fail('TypeError', `float() argument must be a string or a real number, not '${typeName(value)}'`);
}

/** The integer of a value as Python's `int` gives it. Errors: UndefinedError, TypeError, ValueError, OverflowError. */
function intOf(value: Value, base: Value): Int {
  const text = textOf(value);
  if (text !== undefined) return parseInteger(text, toIndex(base));
  if (value instanceof Undefined) return value.refuse();
  if (!isNumber(value))
    return fail('TypeError', `int() argument must be a string or a real number, not '${typeName(value)}'`);
  const number = plain(value);
  return number instanceof Float ? truncate(number.value) : number;
}

const unfit: readonly ErrorKind[] = ['TypeError', 'ValueError'];

function toInt(value: Value, byDefault: Value, base: Value): Value {
  const viaFloat = () =>
    rescue(
      () => truncate(floatOf(value).value),
      [...unfit, 'OverflowError'],
      () => byDefault,
    );
  return rescue(() => intOf(value, base), unfit, viaFloat);
}

function abs(value: Value): Value {
  if (!isNumber(value)) return fail('TypeError', `bad operand type for abs(): '${typeName(value)}'`);
  const number = plain(value);
  if (number instanceof Float) return new Float(Math.abs(number.value));
  return number < 0 ? unary('-', number) : number;
}

function round(value: Value, precision: Value, method: Value): Value {
  hashOf(method);
  const how = textOf(method);
  if (how !== 'common' && how !== 'ceil' && how !== 'floor') {
    return fail('FilterArgumentError', 'method must be common, ceil or floor');
  }
  if (value instanceof Undefined && how !== 'common') return value.refuse();
  if (!isNumber(value)) return fail('TypeError', `type ${typeName(value)} doesn't define __round__ method`);
  const number = plain(value);
  if (how !== 'common') {
    const scale = power(10, toIndex(precision));
    const scaled = multiply(number, scale);
    return divide(scaled instanceof Float ? truncate(Math[how](scaled.value)) : scaled, scale);
  }
  if (precision === null) return number instanceof Float ? truncate(roundFloat(number.value, 0)) : number;
  const places = toIndex(precision);
  if (number instanceof Float) return new Float(roundFloat(number.value, places));
  return places >= 0 ? number : roundInteger(BigInt(number), BigInt(-places));
}

/** An integer rounded to tens, hundreds and so on; halves to the even one. */
function roundInteger(value: bigint, places: bigint): Int {
  if (places > 5000n) return 0;
  const unit = 10n ** places;
  const rest = ((value % unit) + unit) % unit;
  const below = value - rest;
  const isUp = rest * 2n > unit || (rest * 2n === unit && (below / unit) % 2n !== 0n);
  return integer(isUp ? below + unit : below);
}

const units = ['k', 'M', 'G', 'T', 'P', 'E', 'Z', 'Y'];

function fileSize(value: Value, binary: Value): string {
  const bytes = floatOf(value).value;
  const isBinary = isTrue(binary);
  const base = isBinary ? 1024 : 1000;
  if (bytes === 1) return '1 Byte';
  if (bytes < base) return `${truncate(bytes)} Bytes`;
  const place = units.findIndex((_, i) => bytes < base ** (i + 2));
  const i = place === -1 ? units.length - 1 : place;
  const size = (base * bytes) / base ** (i + 2);
  const shown = signOf(size) + formatMagnitude(Math.abs(size), { type: 'f', precision: 1 });
  return `${shown} ${isBinary ? `${units[i]!.toUpperCase()}i` : units[i]}B`;
}

export const numberFilters = builtins({
  abs: ['x /', abs],
  filesizeformat: ['value binary=False', fileSize],
  float: [
    'value default=0.0',
    (value, byDefault) =>
      rescue(
        () => floatOf(value),
        unfit,
        () => byDefault,
      ),
  ],
  int: ['value default=0 base=10', toInt],
  round: ["value precision=0 method='common'", round],
});
