/** Powers of floats to the last digit, which those of JavaScript are not. */

/** Binary digits behind the point of the integers that stand for fractions here. */
const precision = 160n;
const one = 1n << precision;

const times = (a: bigint, b: bigint) => (a * b) >> precision;

/** A float as an integer times a power of two. */
function parts(value: number): { mantissa: bigint; exponent: number } {
  let exponent = Math.max(-1074, Math.floor(Math.log2(Math.abs(value))) - 53);
  let mantissa = value / 2 ** Math.max(-1000, exponent) / 2 ** Math.min(0, exponent + 1000);
  while (!Number.isInteger(mantissa)) {
    mantissa *= 2;
    exponent--;
  }
  return { mantissa: BigInt(mantissa), exponent };
}

/** ln((1 + z) / (1 - z)) = 2 (z + z^3/3 + z^5/5 + ...). */
function logOfRatio(z: bigint): bigint {
  const square = times(z, z);
  let sum = 0n;
  let term = z;
  for (let n = 1n; term !== 0n; n += 2n) {
    sum += term / n;
    term = times(term, square);
  }
  return 2n * sum;
}

const logOf2 = logOfRatio(one / 3n);

/** The natural logarithm of a positive float. */
function log(value: number): bigint {
  const { mantissa, exponent } = parts(value);
  const bits = BigInt(mantissa.toString(2).length - 1);
  const scaled = (mantissa << precision) >> bits;
  return logOfRatio(((scaled - one) << precision) / (scaled + one)) + (BigInt(exponent) + bits) * logOf2;
}

/** e to a power below 1. */
function exp(power: bigint): bigint {
  let sum = 0n;
  let term = one;
  for (let n = 1n; term !== 0n && term !== -1n; n++) {
    sum += term;
    term = times(term, power) / n;
  }
  return sum;
}

/** base ** exponent = 2^k e^(exponent ln(base) - k ln(2)); what has no such value is as in JavaScript. */
export function realPower(base: number, exponent: number): number {
  const rough = base ** exponent;
  const isPlain = Number.isFinite(base) && Number.isFinite(exponent) && base !== 0 && exponent !== 0;
  if (!isPlain || rough === 0 || !Number.isFinite(rough) || Math.abs(exponent) < 2 ** -60) return rough;
  const { mantissa, exponent: shift } = parts(exponent);
  const whole = log(Math.abs(base)) * mantissa;
  const power = shift < 0 ? whole >> BigInt(-shift) : whole << BigInt(shift);
  const twos = power / logOf2;
  const fraction = exp(power - twos * logOf2);
  const result = scale(Number(fraction), Number(twos - precision));
  return rough < 0 ? -result : result;
}

/** value * 2^power, in steps that no float leaves. */
const scale = (value: number, power: number) =>
  value * 2 ** Math.trunc(power / 2) * 2 ** (power - Math.trunc(power / 2));
