/** Values of JavaScript as those of a template. */
import { entriesInOrder } from '../../formats/index.js';
import { fail } from './errors.js';
import { deeper } from './limits.js';
import { Dict, Float, integer, Markup, Thing, Tuple, Undefined, type Value } from './python/values.js';

/** A value that JSON has not, such as a date of Parquet: to use it is an error, and not that a row has it. */
class Foreign extends Thing {
  constructor(readonly typeName: string) {
    super();
  }

  override attribute(): never {
    return this.repr();
  }

  override repr(): never {
    return fail('TypeError', `a ${this.typeName} is no value of a chat: give it as text`);
  }
}

/**
 * A copy of a value of JSON, so that a template sees nothing of the objects behind it: integral numbers are int, others
 * float; fields that are undefined are left out. Values of templates stay as they are. Other objects may not be used.
 * Errors: TypeError for functions and the like; LimitError for lists and objects too deep in each other.
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
    return new Foreign(value.constructor?.name ?? 'object');
  }
  const fields = entriesInOrder(value).filter(([, field]) => field !== undefined);
  return Dict.of(fields.map(([key, field]) => [key, lift(field, below)]));
}
