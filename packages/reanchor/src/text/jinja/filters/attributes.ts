/** Attributes that filters take: `map(attribute='a.b')`, `sort(attribute='name,age')`. */

import { getItem } from '../python/attributes.js';
import { isDigit } from '../python/characters.js';
import { parseInteger } from '../python/number-text.js';
import { textOf, Undefined, type Value } from '../python/values.js';

/** The parts of an attribute between points, numbers as integers. */
function partsOf(attribute: Value): Value[] {
  if (attribute === null) return [];
  const text = textOf(attribute);
  if (text === undefined) return [attribute];
  return text.split('.').map((part) => (isDigit(part) ? parseInteger(part, 10) : part));
}

/** What finds an attribute, or one of an attribute, of a value; `byDefault`, unless None, is for those undefined. */
export function getter(attribute: Value, byDefault: Value = null): (value: Value) => Value {
  const parts = partsOf(attribute);
  return (value) =>
    parts.reduce((found: Value, part) => {
      const next = getItem(found, part);
      return byDefault !== null && next instanceof Undefined ? byDefault : next;
    }, value);
}

/** What finds several attributes, with commas between their names. */
export function multiGetter(attributes: Value): (value: Value) => Value[] {
  const getters = (textOf(attributes)?.split(',') ?? [attributes]).map((attribute) => getter(attribute));
  return (value) => getters.map((get) => get(value));
}

/** Texts without their case, other values as they are. */
export const withoutCase = (value: Value): Value => textOf(value)?.toLowerCase() ?? value;
