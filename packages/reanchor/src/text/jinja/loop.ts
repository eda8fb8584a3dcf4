/** The variable `loop` of a for loop. Source: Jinja's `LoopContext`. */
import { fail } from './errors.js';
import { isEqual } from './python/compare.js';
import { iterate } from './python/convert.js';
import { Builtin, signatureOf } from './python/signature.js';
import { sizeOf } from './python/slices.js';
import { Iter } from './python/things.js';
import { type CallArguments, Dict, isText, Thing, Tuple, Undefined, type Value } from './python/values.js';

/** What a recursive loop writes for values of a level further in. */
export type Recurse = (values: Value, depth: number) => Value;

export class Loop extends Thing {
  readonly typeName = 'LoopContext';
  #iterator: Iterator<Value>;
  #index = -1;
  #length: number | undefined;
  #before: Value | undefined;
  #current: Value | undefined;
  /** The value after the current one, once it was asked for; null at the end. */
  #ahead: { value: Value } | null | undefined;
  #lastChanged: Tuple | undefined;

  constructor(
    private readonly values: Value,
    private readonly depth: number,
    private readonly recurse: Recurse | undefined,
  ) {
    super();
    this.#iterator = iterate(values)[Symbol.iterator]();
  }

  /** The next value, or undefined at the end. */
  next(): Value | undefined {
    const next = this.#peek();
    this.#ahead = undefined;
    if (next === null) return undefined;
    this.#index++;
    this.#before = this.#current;
    this.#current = next.value;
    return next.value;
  }

  #peek(): { value: Value } | null {
    if (this.#ahead === undefined) {
      const { done, value } = this.#iterator.next();
      this.#ahead = done ? null : { value };
    }
    return this.#ahead;
  }

  /** How many values there are in all; those of an iterator are gone through for that. */
  override length(): number {
    if (this.#length !== undefined) return this.#length;
    if (hasSize(this.values)) this.#length = sizeOf(this.values);
    else {
      const rest: Value[] = [];
      for (let next = this.#iterator.next(); !next.done; next = this.#iterator.next()) rest.push(next.value);
      this.#iterator = rest[Symbol.iterator]();
      this.#length = rest.length + this.#index + 1 + (this.#ahead ? 1 : 0);
    }
    return this.#length;
  }

  override attribute(name: string): Value | undefined {
    const index = this.#index;
    switch (name) {
      case 'index':
        return index + 1;
      case 'index0':
        return index;
      case 'first':
        return index === 0;
      case 'last':
        return this.#peek() === null;
      case 'length':
        return this.length();
      case 'revindex':
        return this.length() - index;
      case 'revindex0':
        return this.length() - index - 1;
      case 'depth':
        return this.depth + 1;
      case 'depth0':
        return this.depth;
      case 'previtem':
        return index === 0 ? new Undefined('there is no previous item') : this.#before!;
      case 'nextitem':
        return this.#nextItem();
      case 'cycle':
        return new Builtin(name, anyValues, (values) => this.#cycle((values as Tuple).items));
      case 'changed':
        return new Builtin(name, anyValues, (values) => this.#changed(values as Tuple));
      default:
        return undefined;
    }
  }

  #nextItem(): Value {
    const next = this.#peek();
    return next === null ? new Undefined('there is no next item') : next.value;
  }

  #cycle(values: readonly Value[]): Value {
    if (values.length === 0) fail('TypeError', 'no items for cycling given');
    return values[this.#index % values.length]!;
  }

  #changed(values: Tuple): boolean {
    if (this.#lastChanged && isEqual(this.#lastChanged, values)) return false;
    this.#lastChanged = values;
    return true;
  }

  /** What the body writes for the values given, where the loop is `recursive`. */
  override call({ positional, named }: CallArguments): Value {
    if (!this.recurse) {
      fail('TypeError', "The loop must have the 'recursive' marker to be called recursively.");
    }
    if (positional.length !== 1 || named.size > 0) fail('TypeError', 'a recursive loop is called with one value');
    return this.recurse!(positional[0]!, this.depth + 1);
  }

  override repr(): string {
    return `<LoopContext ${this.#index + 1}/${this.length()}>`;
  }
}

const anyValues = signatureOf('*');

const hasSize = (values: Value) =>
  isText(values) ||
  Array.isArray(values) ||
  values instanceof Tuple ||
  values instanceof Dict ||
  values instanceof Undefined ||
  (values instanceof Thing && !(values instanceof Iter) && values.length !== undefined);
