/** The methods of lists, tuples, ranges, mappings and numbers that change nothing. */
import { fail, unsupported } from '../errors.js';
import { isEqual } from './compare.js';
import { listOf, toIndex } from './convert.js';
import { reprOf } from './repr.js';
import { Builtin, type Signature, signatureOf } from './signature.js';
import { DictView, Range } from './things.js';
import { Dict, Float, integer, isInteger, Tuple, typeName, type Value } from './values.js';

type Method<Self> = readonly [parameters: string, run: (self: Self, ...values: Value[]) => Value];
type Methods<Self> = ReadonlyMap<string, { signature: Signature; run: (self: Self, ...values: Value[]) => Value }>;

const withSignatures = <Self>(table: Readonly<Record<string, Method<Self>>>): Methods<Self> =>
  new Map(
    Object.entries(table).map(([name, [parameters, run]]) => [name, { signature: signatureOf(parameters), run }]),
  );

function bound<Self>(methods: Methods<Self>, self: Self, name: string): Builtin | undefined {
  const method = methods.get(name);
  return method && new Builtin(name, method.signature, (...values) => method.run(self, ...values));
}

/** A value that holds elements in an order. */
type Sequence = Value[] | Tuple | Range;

function indexOf(sequence: Sequence, wanted: Value, start: Value, stop: Value): Value {
  const elements = listOf(sequence);
  const place = (bound: Value, byDefault: number) => {
    const index = bound === null ? byDefault : toIndex(bound);
    return Math.max(0, index < 0 ? index + elements.length : index);
  };
  const last = Math.min(elements.length, place(stop, elements.length));
  for (let i = place(start, 0); i < last; i++) if (isEqual(elements[i]!, wanted)) return i;
  return fail('ValueError', `${reprOf(wanted)} is not in ${typeName(sequence)}`);
}

const sequenceMethods = withSignatures<Sequence>({
  count: ['value /', (self, wanted) => listOf(self).filter((value) => isEqual(value, wanted)).length],
  index: ['value start=None stop=None /', indexOf],
});

const listMethods = withSignatures<Value[]>({ copy: ['/', (self) => [...self]] });
const listChanges = 'append clear pop reverse insert sort extend remove'.split(' ');

const dictMethods = withSignatures<Dict>({
  get: ['key default=None /', (self, key, byDefault) => (self.has(key) ? self.get(key)! : byDefault)],
  items: ['/', (self) => new DictView(self, 'items')],
  keys: ['/', (self) => new DictView(self, 'keys')],
  values: ['/', (self) => new DictView(self, 'values')],
  copy: ['/', (self) => Dict.of(self.entries())],
  fromkeys: ['iterable value=None /', (_self, keys, value) => Dict.of(listOf(keys).map((key) => [key, value]))],
});
const dictChanges = 'clear pop popitem setdefault update'.split(' ');

const integerMethods = withSignatures<number | bigint>({
  bit_length: ['/', (self) => (self === 0 ? 0 : BigInt(self < 0 ? -self : self).toString(2).length)],
  bit_count: [
    '/',
    (self) =>
      BigInt(self < 0 ? -self : self)
        .toString(2)
        .replaceAll('0', '').length,
  ],
  conjugate: ['/', (self) => self],
  as_integer_ratio: ['/', (self) => new Tuple([self, 1])],
  to_bytes: ['*', () => unsupported('int.to_bytes')],
});

const floatMethods = withSignatures<Float>({
  is_integer: ['/', ({ value }) => Number.isInteger(value)],
  conjugate: ['/', (self) => self],
  as_integer_ratio: ['/', ({ value }) => ratio(value)],
  hex: ['/', () => unsupported('float.hex')],
});

function ratio(value: number): Value {
  if (!Number.isFinite(value)) return fail('ValueError', 'cannot convert it to integer ratio');
  let [numerator, denominator] = [value, 1n];
  while (!Number.isInteger(numerator)) {
    numerator *= 2;
    denominator *= 2n;
  }
  return new Tuple([integer(BigInt(numerator)), integer(denominator)]);
}

function numberAttribute(value: number | bigint | Float, name: string): Value | undefined {
  if (name === 'real') return value;
  if (value instanceof Float) return name === 'imag' ? new Float(0) : bound(floatMethods, value, name);
  if (name === 'imag') return 0;
  if (name === 'numerator') return value;
  return name === 'denominator' ? 1 : bound(integerMethods, value, name);
}

/**
 * An attribute of a list, tuple, range, mapping or number; `hidden` for a method that would change it, undefined where
 * its type has none of the name.
 */
export function methodOf(value: Value, name: string): Value | 'hidden' | undefined {
  if (Array.isArray(value)) {
    return listChanges.includes(name)
      ? 'hidden'
      : (bound(listMethods, value, name) ?? bound(sequenceMethods, value, name));
  }
  if (value instanceof Tuple || value instanceof Range) return bound(sequenceMethods, value, name);
  if (value instanceof Dict) return dictChanges.includes(name) ? 'hidden' : bound(dictMethods, value, name);
  if (isInteger(value)) return numberAttribute(typeof value === 'boolean' ? Number(value) : value, name);
  return value instanceof Float ? numberAttribute(value, name) : undefined;
}
