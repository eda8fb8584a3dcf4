/**
 * The values of a template, which are Python's: None is null; bool a boolean; int a number, or a bigint beyond the
 * integers that a number holds without loss; float a {@link Float}; str a string; list an array.
 */
import { Float } from '../../../formats/index.js';
import { type ErrorKind, fail } from '../errors.js';
import { deeper, requireText } from '../limits.js';

export { Float };

export type Value =
  | null
  | boolean
  | number
  | bigint
  | string
  | Float
  | Markup
  | Value[]
  | Tuple
  | Dict
  | Undefined
  | Thing;

/** A text that counts as escaped HTML, and escapes what is added to it (markupsafe). */
export class Markup {
  constructor(readonly text: string) {}
}

export class Tuple {
  constructor(readonly items: readonly Value[]) {}
}

/** What a name or an element stands for that is not there: it prints nothing, and may hardly be used otherwise. */
export class Undefined {
  constructor(
    private readonly message: string,
    private readonly kind: ErrorKind = 'UndefinedError',
  ) {}

  /** Errors: UndefinedError, or SecurityError for an attribute that the sandbox hides. */
  refuse(): never {
    return fail(this.kind, this.message);
  }
}

/** Any other object: what it can do is what it overrides. */
export abstract class Thing {
  /** The name of its type in Python. */
  abstract readonly typeName: string;
  /** The value of an attribute, or undefined where it has none of the name. */
  attribute?(name: string): Value | undefined;
  call?(args: CallArguments): Value;
  iterate?(): Iterable<Value>;
  length?(): number;
  /** What `repr` and, unless it is a text, `str` say. Left out by those whose text is an address in memory. */
  repr?(depth: number): string;
}

/** The arguments of a call: `f(a, name=b)`. */
export interface CallArguments {
  positional: readonly Value[];
  named: ReadonlyMap<string, Value>;
}

/** A mapping in the order of insertion. Keys are equal as in Python: 1, 1.0 and True are one key. */
export class Dict {
  readonly #entries = new Map<unknown, [Value, Value]>();

  static of(entries: Iterable<readonly [Value, Value]>): Dict {
    const dict = new Dict();
    for (const [key, value] of entries) dict.set(key, value);
    return dict;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** The value of a key, or undefined. Errors: TypeError for a key that cannot be one, such as a list. */
  get(key: Value): Value | undefined {
    return this.#entries.get(hashOf(key))?.[1];
  }

  has(key: Value): boolean {
    return this.#entries.has(hashOf(key));
  }

  set(key: Value, value: Value): void {
    const hash = hashOf(key);
    const entry = this.#entries.get(hash);
    // The first of equal keys stays.
    if (entry) entry[1] = value;
    else this.#entries.set(hash, [key, value]);
  }

  entries(): IterableIterator<[Value, Value]> {
    return this.#entries.values();
  }

  *keys(): IterableIterator<Value> {
    for (const [key] of this.entries()) yield key;
  }

  *values(): IterableIterator<Value> {
    for (const [, value] of this.entries()) yield value;
  }
}

const undefinedKey = Symbol('undefined');

/** What is the same, for a Map, for equal values only. Errors: TypeError for values that cannot be keys. */
export function hashOf(value: Value): unknown {
  if (typeof value === 'string') return value.startsWith('\0') ? `\0s${value}` : value;
  if (typeof value === 'boolean') return Number(value);
  if (value instanceof Float) {
    const { value: number } = value;
    if (Number.isNaN(number)) return value;
    return Number.isInteger(number) ? integer(BigInt(number)) : number;
  }
  if (value instanceof Markup) return hashOf(value.text);
  if (value instanceof Undefined) return undefinedKey;
  if (value instanceof Tuple) return hashOfTuple(value, 0);
  if (Array.isArray(value) || value instanceof Dict) return fail('TypeError', `unhashable type: '${typeName(value)}'`);
  return value;
}

export function isHashable(value: Value): boolean {
  if (value instanceof Tuple) return value.items.every(isHashable);
  return !Array.isArray(value) && !(value instanceof Dict);
}

const identities = new WeakMap<object, number>();
let numIdentities = 0;

function hashOfTuple({ items }: Tuple, depth: number): string {
  const below = deeper(depth);
  let hash = '\0t';
  for (const item of items) {
    hash += `${hashText(item, below)},`;
    // Tuples that hold each other twice make texts that double: keys end sooner than other texts.
    requireText(hash.length * 16);
  }
  return hash;
}

/** A text that is the same for equal values only. */
function hashText(value: Value, depth: number): string {
  const hash = value instanceof Tuple ? hashOfTuple(value, depth) : hashOf(value);
  if (typeof hash === 'string') return `${hash.length}:${hash}`;
  if (typeof hash === 'bigint') return `${hash}n`;
  if (typeof hash !== 'object' || hash === null) return String(hash);
  if (!identities.has(hash)) identities.set(hash, numIdentities++);
  return `#${identities.get(hash)}`;
}

/** An int: a number where it holds it without loss. */
export function integer(value: bigint): number | bigint {
  return value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER ? Number(value) : value;
}

/** The name of a value's type in Python. */
export function typeName(value: Value): string {
  if (value === null) return 'NoneType';
  if (typeof value === 'string') return 'str';
  if (typeof value === 'boolean') return 'bool';
  if (typeof value === 'number' || typeof value === 'bigint') return 'int';
  if (Array.isArray(value)) return 'list';
  if (value instanceof Dict) return 'dict';
  if (value instanceof Tuple) return 'tuple';
  if (value instanceof Float) return 'float';
  if (value instanceof Markup) return 'Markup';
  if (value instanceof Undefined) return 'Undefined';
  return value.typeName;
}

/** Whether a condition holds: not for None, False, zeros, undefined values, and what is empty. */
export function isTrue(value: Value): boolean {
  if (typeof value === 'boolean') return value;
  if (typeof value === 'string') return value !== '';
  if (value === null || value instanceof Undefined) return false;
  if (typeof value === 'number') return value !== 0;
  if (typeof value === 'bigint') return true;
  if (Array.isArray(value)) return value.length > 0;
  if (value instanceof Dict) return value.size > 0;
  if (value instanceof Tuple) return value.items.length > 0;
  if (value instanceof Float) return value.value !== 0;
  if (value instanceof Markup) return value.text !== '';
  return value.length?.() !== 0;
}

/** The text of a str, escaped or not; undefined for any other value. */
export function textOf(value: Value): string | undefined {
  if (typeof value === 'string') return value;
  return value instanceof Markup ? value.text : undefined;
}

export const isText = (value: Value): value is string | Markup => textOf(value) !== undefined;

/** Whether a value is an int; a bool is one too. */
export const isInteger = (value: Value): value is number | bigint | boolean =>
  typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean';

export const isNumber = (value: Value): value is number | bigint | boolean | Float =>
  isInteger(value) || value instanceof Float;

/** The elements of a list or tuple; undefined for any other value. */
export function elementsOf(value: Value): readonly Value[] | undefined {
  if (Array.isArray(value)) return value;
  return value instanceof Tuple ? value.items : undefined;
}

/** Whether a value has elements that can be asked for. */
export const hasElements = (value: Value): boolean =>
  isText(value) || elementsOf(value) !== undefined || value instanceof Dict || value instanceof Undefined;
