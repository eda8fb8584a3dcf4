/** The functions that every template has, and the objects they give. */
import { fail, unsupported } from './errors.js';
import { iterate, listOf, toIndex } from './python/convert.js';
import { reprOfDict } from './python/repr.js';
import { Builtin, builtins, signatureOf } from './python/signature.js';
import { Range } from './python/things.js';
import { Dict, elementsOf, Thing, Tuple, Undefined, type Value } from './python/values.js';

/** Numbers that a range gives at most; the sandbox of Jinja has the same limit. */
const maxRange = 100_000;

/** The attributes that a template sets: `{% set ns.name = value %}`. */
export class Namespace extends Thing {
  readonly typeName = 'Namespace';

  constructor(private readonly values: Dict) {
    super();
  }

  override attribute(name: string): Value | undefined {
    return this.values.get(name);
  }

  set(name: string, value: Value): void {
    this.values.set(name, value);
  }

  override repr(depth: number): string {
    return `<Namespace ${reprOfDict(this.values, depth)}>`;
  }
}

/** Values that come one after another, and again. */
class Cycler extends Thing {
  readonly typeName = 'Cycler';
  #next = 0;

  constructor(private readonly items: readonly Value[]) {
    super();
  }

  override attribute(name: string): Value | undefined {
    if (name === 'items') return new Tuple(this.items);
    if (name === 'pos') return this.#next;
    if (name === 'current') return this.items[this.#next]!;
    if (name === 'reset') return this.#method(name, () => this.#goTo(0, null));
    if (name === 'next') {
      return this.#method(name, () => this.#goTo((this.#next + 1) % this.items.length, this.items[this.#next]!));
    }
    return undefined;
  }

  #method = (name: string, run: () => Value) => new Builtin(name, signatureOf('/'), run);

  #goTo(place: number, result: Value): Value {
    this.#next = place;
    return result;
  }
}

/** A text that is empty when it is asked for first. */
class Joiner extends Thing {
  readonly typeName = 'Joiner';
  #isUsed = false;

  constructor(private readonly separator: Value) {
    super();
  }

  override call(): Value {
    const text = this.#isUsed ? this.separator : '';
    this.#isUsed = true;
    return text;
  }
}

/** A mapping of another one or of pairs, and of named values: Python's `dict`. Errors: TypeError, ValueError. */
function makeDict(given: Tuple, named: Dict): Dict {
  const [source, ...others] = given.items;
  if (others.length > 0) fail('TypeError', `dict expected at most 1 argument, got ${given.items.length}`);
  if (source instanceof Undefined) source.refuse();
  const dict = new Dict();
  if (source instanceof Dict) for (const [key, value] of source.entries()) dict.set(key, value);
  else if (source !== undefined) {
    let place = 0;
    for (const pair of iterate(source)) {
      const items = elementsOf(pair) ?? listOf(pair);
      if (items.length !== 2) {
        fail('ValueError', `dictionary update sequence element #${place} has length ${items.length}; 2 is required`);
      }
      dict.set(items[0]!, items[1]!);
      place++;
    }
  }
  for (const [key, value] of named.entries()) dict.set(key, value);
  return dict;
}

function makeRange(given: Tuple): Range {
  const bounds = given.items.map(toIndex);
  if (bounds.length < 1 || bounds.length > 3) {
    fail('TypeError', `range expected 1 to 3 arguments, got ${bounds.length}`);
  }
  const [start, stop, step] = bounds.length === 1 ? [0, bounds[0]!, 1] : [bounds[0]!, bounds[1]!, bounds[2] ?? 1];
  if (step === 0) fail('ValueError', 'range() arg 3 must not be zero');
  const range = new Range(start, stop, step);
  if (!(range.length() <= maxRange)) fail('OverflowError', `range of more than ${maxRange} numbers`);
  return range;
}

function makeCycler(given: Tuple): Cycler {
  if (given.items.length === 0) fail('RuntimeError', 'at least one item has to be provided');
  return new Cycler(given.items);
}

export const globals: ReadonlyMap<string, Value> = builtins({
  range: ['*', (given) => makeRange(given as Tuple)],
  dict: ['* **', (given, named) => makeDict(given as Tuple, named as Dict)],
  namespace: ['* **', (given, named) => new Namespace(makeDict(given as Tuple, named as Dict))],
  cycler: ['*', (given) => makeCycler(given as Tuple)],
  joiner: ["sep=',_'", (separator) => new Joiner(separator)],
  lipsum: ['* **', () => unsupported('lipsum, which is random,')],
});
