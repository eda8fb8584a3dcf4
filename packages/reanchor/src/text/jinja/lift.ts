/** Values of JavaScript as those of a template. */
import { fail } from './errors.js';
import { deeper } from './limits.js';
import { Dict, Float, integer, Markup, Thing, Tuple, Undefined, type Value } from './python/values.js';

/**
 * A copy of a value of JSON, so that a template sees nothing of the objects behind it: integral numbers are int, others
 * float; fields that are undefined are left out. Values of templates stay as they are. Errors: TypeError for anything
 * else; LimitError for lists and objects too deep in each other.
 */
export function lift(value: unknown, depth = 0): Value {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return value;
    case 'number':
      if (Number.isSafeInteger(value)) return value + 0;
      return Number.isInteger(value) ? BigInt(value) : new Float(value);
    case 'bigint':
      return integer(value);
    case 'object':
      return liftObject(value, depth);
    default:
      return fail('TypeError', `a ${typeof value} is no value of a chat`);
  }
}

function liftObject(value: object | null, depth: number): Value {
  if (value === null) return null;
  const own = [Float, Markup, Tuple, Dict, Undefined, Thing].some((type) => value instanceof type);
  if (own) return value as Value;
  const below = deeper(depth);
  if (Array.isArray(value)) return value.map((one) => lift(one === undefined ? null : one, below));
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== null && Object.getPrototypeOf(prototype as object) !== null) {
    return fail('TypeError', `a ${value.constructor?.name} is no value of a chat: give it as text`);
  }
  const fields = Object.entries(value).filter(([, field]) => field !== undefined);
  return Dict.of(fields.map(([key, field]) => [key, lift(field, below)]));
}
