/** Objects of Python that are lists in some respects: ranges, views of mappings, iterators. */
import { commaList } from './repr.js';
import { type Dict, Thing, Tuple, type Value } from './values.js';

/** The integers from `start` to before `stop`, each `step` after the last. */
export class Range extends Thing {
  readonly typeName = 'range';

  constructor(
    readonly start: number,
    readonly stop: number,
    readonly step: number,
  ) {
    super();
  }

  override length(): number {
    return Math.max(0, Math.ceil((this.stop - this.start) / this.step));
  }

  at(index: number): number {
    return this.start + index * this.step;
  }

  override *iterate(): Iterable<Value> {
    const length = this.length();
    for (let i = 0; i < length; i++) yield this.at(i);
  }

  override attribute(name: string): Value | undefined {
    if (name === 'start' || name === 'stop' || name === 'step') return this[name];
    return undefined;
  }

  override repr(): string {
    return `range(${this.start}, ${this.stop}${this.step === 1 ? '' : `, ${this.step}`})`;
  }
}

/** What `keys()`, `values()` and `items()` of a mapping give. */
export class DictView extends Thing {
  constructor(
    readonly dict: Dict,
    readonly part: 'keys' | 'values' | 'items',
  ) {
    super();
  }

  get typeName(): string {
    return `dict_${this.part}`;
  }

  override length(): number {
    return this.dict.size;
  }

  override iterate(): Iterable<Value> {
    return this.part === 'items' ? this.#items() : this.dict[this.part]();
  }

  override repr(depth: number): string {
    return `${this.typeName}([${commaList(this.iterate(), depth)}])`;
  }

  *#items(): Iterable<Value> {
    for (const entry of this.dict.entries()) yield new Tuple([...entry]);
  }
}

/** Values that can be gone through once, as filters such as `map` and `select` give them. */
export class Iter extends Thing {
  readonly #iterator: Iterator<Value>;

  constructor(
    values: Iterable<Value>,
    readonly typeName = 'generator',
  ) {
    super();
    this.#iterator = values[Symbol.iterator]();
  }

  /** Where one loop over it stops, the next goes on: it is not closed. */
  override iterate(): Iterable<Value> {
    return { [Symbol.iterator]: () => ({ next: () => this.#iterator.next() }) };
  }
}

/** A group of `groupby`: a tuple of what its elements have in common, and a list of them. */
export class Group extends Tuple {
  constructor(
    readonly grouper: Value,
    readonly list: Value[],
  ) {
    super([grouper, list]);
  }
}
