/** Filters that apply others, or tests, to each of several values. */
import { fail } from '../errors.js';
import { iterate } from '../python/convert.js';
import { type Builtin, builtins } from '../python/signature.js';
import { Iter } from '../python/things.js';
import { type CallArguments, type Dict, hashOf, isTrue, type Tuple, textOf, type Value } from '../python/values.js';
import { getter } from './attributes.js';

/** Filters, or tests, by their names. */
export type Table = ReadonlyMap<string, Builtin>;

/** What `*args` and `**kwargs` of a filter hold. */
function argumentsOf(rest: Value, named: Value): { positional: readonly Value[]; named: Map<string, Value> } {
  const byName = [...(named as Dict).entries()].map(([key, value]) => [textOf(key)!, value] as const);
  return { positional: (rest as Tuple).items, named: new Map(byName) };
}

/** Values from which a filter makes others; nothing for what is empty, whatever it is. */
function each(values: Value, make: () => (all: Iterable<Value>) => Iterable<Value>): Iter {
  function* lazily(): Iterable<Value> {
    if (isTrue(values)) yield* make()(iterate(values));
  }
  return new Iter(lazily());
}

/** A filter or test, looked for when it is used. Errors: TypeError, TemplateRuntimeError for none of the name. */
function named(table: Table, kind: 'filter' | 'test', name: Value): Builtin {
  hashOf(name);
  const builtin = textOf(name) === undefined ? undefined : table.get(textOf(name)!);
  return builtin ?? fail('TemplateRuntimeError', `No ${kind} named '${textOf(name) ?? ''}'.`);
}

/** What `map` does with a value: a filter with its arguments, or an attribute. */
function mapping(filters: Table, { positional, named: given }: CallArguments): (value: Value) => Value {
  if (positional.length > 0) {
    const [name, ...others] = positional as [Value, ...Value[]];
    return (value) => named(filters, 'filter', name).call({ positional: [value, ...others], named: given });
  }
  const attribute = given.get('attribute');
  if (attribute === undefined) return fail('FilterArgumentError', 'map requires a filter argument');
  const over = [...given.keys()].find((name) => name !== 'attribute' && name !== 'default');
  if (over !== undefined) fail('FilterArgumentError', `Unexpected keyword argument '${over}'`);
  return getter(attribute, given.get('default'));
}

/** Whether a value passes a test, or is true where none is named; or its attribute is. */
function testing(tests: Table, ofAttribute: boolean, { positional, named: given }: CallArguments) {
  if (ofAttribute && positional.length === 0) {
    return fail('FilterArgumentError', 'Missing parameter for attribute name');
  }
  const get = ofAttribute ? getter(positional[0]!) : (value: Value) => value;
  const [name, ...others] = ofAttribute ? positional.slice(1) : positional;
  if (name === undefined) return (value: Value) => isTrue(get(value));
  return (value: Value) =>
    isTrue(named(tests, 'test', name).call({ positional: [get(value), ...others], named: given }));
}

/** The filters that apply those of a table, or tests. */
export function applyingFilters(filters: Table, tests: Table): Map<string, Builtin> {
  const select = (ofAttribute: boolean, isKept: boolean) => (values: Value, rest: Value, given: Value) =>
    each(values, () => {
      const isPassed = testing(tests, ofAttribute, argumentsOf(rest, given));
      return function* (all) {
        for (const value of all) if (isPassed(value) === isKept) yield value;
      };
    });
  const map = (values: Value, rest: Value, given: Value) =>
    each(values, () => {
      const make = mapping(filters, argumentsOf(rest, given));
      return function* (all) {
        for (const value of all) yield make(value);
      };
    });
  return builtins({
    map: ['value * **', map],
    select: ['value * **', select(false, true)],
    reject: ['value * **', select(false, false)],
    selectattr: ['value * **', select(true, true)],
    rejectattr: ['value * **', select(true, false)],
  });
}
