/** Filters of lists and mappings. */
import { fail, rescue } from '../errors.js';
import { requireElements } from '../limits.js';
import { attributeOf, getAttribute } from '../python/attributes.js';
import { isEqual, isOrdered, sorted } from '../python/compare.js';
import { iterate, listOf, toDict, toIndex } from '../python/convert.js';
import { binary } from '../python/operators.js';
import { stringOf } from '../python/repr.js';
import { builtins } from '../python/signature.js';
import { sizeOf, sliceOf } from '../python/slices.js';
import { joinTexts } from '../python/text-search.js';
import { DictView, Group, Iter, Range } from '../python/things.js';
import { Dict, elementsOf, isText, isTrue, Tuple, textOf, typeName, Undefined, type Value } from '../python/values.js';
import { getter, multiGetter, withoutCase } from './attributes.js';

function* batch(values: Value, size: Value, fill: Value): Iterable<Value> {
  let row: Value[] = [];
  for (const value of iterate(values)) {
    if (isEqual(row.length, size)) {
      yield row;
      row = [];
    }
    row.push(value);
  }
  if (row.length === 0) return;
  if (fill !== null && isOrdered('<', row.length, size)) {
    const missing = toIndex(size) - row.length;
    requireElements(missing);
    for (let i = 0; i < missing; i++) row.push(fill);
  }
  yield row;
}

function* slices(values: Value, count: Value, fill: Value): Iterable<Value> {
  const all = listOf(values);
  const each = toIndex(binary('//', all.length, count));
  const longer = toIndex(binary('%', all.length, count));
  const number = toIndex(count);
  requireElements(number);
  let offset = 0;
  for (let i = 0; i < number; i++) {
    const start = offset + i * each;
    if (i < longer) offset++;
    const slice = all.slice(start, offset + (i + 1) * each);
    if (fill !== null && i >= longer) slice.push(fill);
    yield slice;
  }
}

function dictSort(value: Value, caseSensitive: Value, by: Value, isReversed: Value): Value {
  const place = by === 'key' ? 0 : by === 'value' ? 1 : -1;
  if (place === -1) fail('FilterArgumentError', 'You can only sort by either "key" or "value"');
  const pairs = [...toDict(value).entries()].map((entry) => new Tuple([...entry]));
  const key = (pair: Value) => (pair as Tuple).items[place]!;
  return sorted(pairs, isTrue(caseSensitive) ? key : (pair) => withoutCase(key(pair)), toIndex(isReversed) !== 0);
}

function sort(values: Value, isReversed: Value, caseSensitive: Value, attribute: Value): Value {
  const get = multiGetter(attribute);
  const key = isTrue(caseSensitive) ? get : (value: Value) => get(value).map(withoutCase);
  return sorted(listOf(values), key, toIndex(isReversed) !== 0);
}

function* unique(values: Value, caseSensitive: Value, attribute: Value): Iterable<Value> {
  const get = getter(attribute);
  const seen = new Dict();
  for (const value of iterate(values)) {
    const key = isTrue(caseSensitive) ? get(value) : withoutCase(get(value));
    if (seen.has(key)) continue;
    seen.set(key, true);
    yield value;
  }
}

/** The first of the values that no other one is less, or more, than. */
const extreme =
  (order: '<' | '>') =>
  (values: Value, caseSensitive: Value, attribute: Value): Value => {
    const get = getter(attribute);
    const keyOf = (value: Value) => (isTrue(caseSensitive) ? get(value) : withoutCase(get(value)));
    let best: { value: Value; key: Value } | undefined;
    for (const value of iterate(values)) {
      const key = keyOf(value);
      if (best === undefined || isOrdered(order, key, best.key)) best = { value, key };
    }
    return best === undefined ? new Undefined('No aggregated item, sequence was empty.') : best.value;
  };

function groupBy(values: Value, attribute: Value, byDefault: Value, caseSensitive: Value): Value {
  const get = getter(attribute, byDefault);
  const keyOf = (value: Value) => (isTrue(caseSensitive) ? get(value) : withoutCase(get(value)));
  const groups: { key: Value; values: Value[] }[] = [];
  for (const value of sorted(listOf(values), keyOf, false)) {
    const key = keyOf(value);
    const last = groups.at(-1);
    if (last && (last.key === key || isEqual(last.key, key))) last.values.push(value);
    else groups.push({ key, values: [value] });
  }
  // A group is named as its first value has it, in its case.
  return groups.map(({ values: group }) => new Group(get(group[0]!), group));
}

function sum(values: Value, attribute: Value, start: Value): Value {
  if (textOf(start) !== undefined) fail('TypeError', "sum() can't sum strings [use ''.join(seq) instead]");
  const get = getter(attribute);
  let total = start;
  for (const value of iterate(values)) total = binary('+', total, get(value));
  return total;
}

function join(values: Value, separator: Value, attribute: Value): string {
  const get = getter(attribute);
  return joinTexts(stringOf(separator), values, (value) => stringOf(get(value)));
}

function first(values: Value): Value {
  for (const value of iterate(values)) return value;
  return new Undefined('No first item, sequence was empty.');
}

function last(values: Value): Value {
  const all = backwards(values) ?? fail('TypeError', `'${typeName(values)}' object is not reversible`);
  return all[0] === undefined ? new Undefined('No last item, sequence was empty.') : all[0];
}

/** Values from the last to the first; undefined for those that cannot be gone through so. */
function backwards(values: Value): Value[] | undefined {
  const isSequence = isText(values) || elementsOf(values) || values instanceof Dict || values instanceof Undefined;
  const isReversible = isSequence || values instanceof Range || values instanceof DictView;
  return isReversible ? listOf(values).reverse() : undefined;
}

function reverse(value: Value): Value {
  if (isText(value)) return sliceOf(value, null, null, -1);
  const all = backwards(value);
  if (all) return new Iter(all, 'reversed');
  return rescue(
    () => listOf(value).reverse(),
    ['TypeError'],
    () => fail('FilterArgumentError', 'argument must be iterable'),
  );
}

function* items(value: Value): Iterable<Value> {
  if (value instanceof Undefined) return;
  if (!(value instanceof Dict)) return fail('TypeError', 'Can only get item pairs from a mapping.');
  for (const entry of value.entries()) yield new Tuple([...entry]);
}

function attribute(value: Value, name: Value): Value {
  const text = textOf(name) ?? fail('TypeError', 'attribute name must be string');
  const found = attributeOf(value, text);
  // Where there is none, the error of using it is that of the attribute that is missing.
  return found === undefined ? getAttribute(withoutElements(value), text) : found;
}

/** A value as one whose elements are no attributes. */
const withoutElements = (value: Value): Value => (value instanceof Dict ? new Dict() : value);

function orDefault(value: Value, byDefault: Value, boolean: Value): Value {
  return value instanceof Undefined || (isTrue(boolean) && !isTrue(value)) ? byDefault : value;
}

export const sequenceFilters = builtins({
  attr: ['obj name', attribute],
  batch: ['value linecount fill_with=None', (values, size, fill) => new Iter(batch(values, size, fill))],
  count: ['obj /', sizeOf],
  d: ["value default_value='' boolean=False", orDefault],
  default: ["value default_value='' boolean=False", orDefault],
  dictsort: ["value case_sensitive=False by='key' reverse=False", dictSort],
  first: ['seq', first],
  groupby: ['value attribute default=None case_sensitive=False', groupBy],
  items: ['value', (value) => new Iter(items(value))],
  join: ["value d='' attribute=None", join],
  last: ['seq', last],
  length: ['obj /', sizeOf],
  list: ['value', (values) => listOf(values)],
  max: ['value case_sensitive=False attribute=None', extreme('>')],
  min: ['value case_sensitive=False attribute=None', extreme('<')],
  reverse: ['value', reverse],
  slice: ['value slices fill_with=None', (values, count, fill) => new Iter(slices(values, count, fill))],
  sort: ['value reverse=False case_sensitive=False attribute=None', sort],
  sum: ['iterable attribute=None start=0', sum],
  unique: [
    'value case_sensitive=False attribute=None',
    (...values) => new Iter(unique(...(values as [Value, Value, Value]))),
  ],
});
