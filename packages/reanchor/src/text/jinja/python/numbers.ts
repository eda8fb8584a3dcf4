/** Arithmetic: of integers without loss, of floats as IEEE 754 has it. */
import { fail, unsupported } from '../errors.js';
import { requireBits } from '../limits.js';
import { realPower } from './powers.js';
import { Float, integer } from './values.js';

export type Int = number | bigint;
export type Numeric = Int | Float;

/** A float's value of a number. Errors: OverflowError for an integer beyond them. */
export function toFloat(value: Numeric): number {
  if (value instanceof Float) return value.value;
  const number = Number(value);
  return Number.isFinite(number) ? number : fail('OverflowError', 'int too large to convert to float');
}

/** The integer of a float without its fraction. Errors: OverflowError, ValueError for infinities and NaN. */
export function truncate(value: number): Int {
  if (Number.isNaN(value)) fail('ValueError', 'cannot convert float NaN to integer');
  if (!Number.isFinite(value)) fail('OverflowError', 'cannot convert float infinity to integer');
  return integer(BigInt(Math.trunc(value)));
}

type Arithmetic = (a: Numeric, b: Numeric) => Numeric;

/** An operation on integers, and one on floats if one of the numbers is. */
const either =
  (onIntegers: (a: Int, b: Int) => Numeric, onFloats: (a: number, b: number) => number): Arithmetic =>
  (a, b) => {
    if (a instanceof Float || b instanceof Float) return new Float(onFloats(toFloat(a), toFloat(b)));
    return onIntegers(a, b);
  };

/** An operation that numbers do without loss as long as the result is a safe integer. */
const exactly =
  (onNumbers: (a: number, b: number) => number, onBigInts: (a: bigint, b: bigint) => bigint) =>
  (a: Int, b: Int): Int => {
    if (typeof a === 'number' && typeof b === 'number') {
      const result = onNumbers(a, b);
      if (Number.isSafeInteger(result)) return result + 0;
    }
    const [x, y] = [BigInt(a), BigInt(b)];
    requireBits(bitsOf(x) + bitsOf(y));
    return integer(onBigInts(x, y));
  };

/** Binary digits of an integer, up to three more. */
const bitsOf = (value: Int) => (typeof value === 'number' ? 53 : value.toString(16).length * 4);

export const add = either(
  exactly(
    (a, b) => a + b,
    (a, b) => a + b,
  ),
  (a, b) => a + b,
);
export const subtract = either(
  exactly(
    (a, b) => a - b,
    (a, b) => a - b,
  ),
  (a, b) => a - b,
);
export const multiply = either(
  exactly(
    (a, b) => a * b,
    (a, b) => a * b,
  ),
  (a, b) => a * b,
);
export const negate = (a: Numeric): Numeric => (a instanceof Float ? new Float(-a.value) : subtract(0, a));

/** The quotient as a float. Errors: ZeroDivisionError. */
export const divide = either(
  (a, b) => new Float(quotient(a, b)),
  (a, b) => (b === 0 ? fail('ZeroDivisionError', 'float division by zero') : a / b),
);

function quotient(a: Int, b: Int): number {
  if (b === 0) return fail('ZeroDivisionError', 'division by zero');
  if (typeof a === 'number' && typeof b === 'number') return a / b;
  // More bits than a float has, the last one set for what is cut off, are rounded as the whole would be.
  const [x, y] = [BigInt(a), BigInt(b)];
  const shift = Math.max(0, bitsOf(y) - bitsOf(x) + 70);
  const scaled = x << BigInt(shift);
  const whole = (scaled / y) | (scaled % y === 0n ? 0n : 1n);
  const half = Math.min(shift, 1000);
  const value = Number(whole) / 2 ** half / 2 ** (shift - half);
  return Number.isFinite(value) ? value : fail('OverflowError', 'integer division result too large for a float');
}

/** The quotient rounded towards minus infinity. Errors: ZeroDivisionError. */
export const floorDivide = either(
  (a, b) => {
    if (b === 0) return fail('ZeroDivisionError', 'integer division or modulo by zero');
    if (typeof a === 'number' && typeof b === 'number') {
      const multiple = a - modulo(a, b);
      if (Number.isSafeInteger(multiple)) return multiple / b + 0;
    }
    const [x, y] = [BigInt(a), BigInt(b)];
    return integer((x - bigModulo(x, y)) / y);
  },
  (a, b) => divmod(a, b).quotient,
);

/** The remainder of {@link floorDivide}, which has the sign of the divisor. Errors: ZeroDivisionError. */
export const remainder = either(
  (a, b) => {
    if (b === 0) return fail('ZeroDivisionError', 'integer modulo by zero');
    if (typeof a === 'number' && typeof b === 'number') return modulo(a, b);
    return integer(bigModulo(BigInt(a), BigInt(b)));
  },
  (a, b) => divmod(a, b).remainder,
);

function modulo(a: number, b: number): number {
  const rest = a % b;
  return rest !== 0 && rest < 0 !== b < 0 ? rest + b : rest + 0;
}
const bigModulo = (a: bigint, b: bigint) => ((a % b) + b) % b;

/** Source: CPython, Objects/floatobject.c. */
function divmod(a: number, b: number): { quotient: number; remainder: number } {
  if (b === 0) fail('ZeroDivisionError', 'float floor division by zero');
  let rest = a % b;
  let exact = (a - rest) / b;
  if (rest === 0) rest = b < 0 ? -0 : 0;
  else if (b < 0 !== rest < 0) {
    rest += b;
    exact -= 1;
  }
  if (exact === 0) return { quotient: a / b < 0 ? -0 : 0, remainder: rest };
  const floor = Math.floor(exact);
  return { quotient: exact - floor > 0.5 ? floor + 1 : floor, remainder: rest };
}

/** A power. Errors: ZeroDivisionError, OverflowError; what would be a complex number is not supported. */
export const power = either((a, b) => {
  if (b < 0) return new Float(floatPower(toFloat(a), toFloat(b)));
  if (a !== 0 && a !== 1 && a !== -1) requireBits(bitsOfPower(a, b));
  return integer(BigInt(a) ** BigInt(b));
}, floatPower);

const bitsOfPower = (a: Int, b: Int) => (typeof a === 'number' ? Math.log2(Math.abs(a)) : bitsOf(a)) * Number(b);

function floatPower(a: number, b: number): number {
  if (a === 0 && b < 0) fail('ZeroDivisionError', '0.0 cannot be raised to a negative power');
  if (a < 0 && Number.isFinite(a) && Number.isFinite(b) && !Number.isInteger(b)) unsupported('a complex number');
  // 1 to any power, and -1 to an infinite one, are 1 in C.
  if (a === 1 || (a === -1 && Math.abs(b) === Infinity)) return 1;
  const result = realPower(a, b);
  if (!Number.isFinite(result) && Number.isFinite(a) && Number.isFinite(b)) {
    fail('OverflowError', "(34, 'Numerical result out of range')");
  }
  return result;
}
