// Broken inputs from whole ones: what bad disks, cut downloads, other programs and attackers make of files.
import { uniforms } from '#reanchor/random.js';

/** Choices that a seed decides. */
export class Dice {
  readonly #next: () => number;

  constructor(...key: readonly number[]) {
    this.#next = uniforms(...key);
  }

  /** A whole number from 0 to below `n`. */
  below(n: number): number {
    return Math.floor(this.#next() * n);
  }

  chance(share: number): boolean {
    return this.#next() < share;
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!;
  }

  /** Small numbers often, large ones sometimes, up to `most`. */
  size(most: number): number {
    return Math.floor(2 ** (this.#next() * Math.log2(most + 1)));
  }
}

/** Inputs are kept below this, so that time and memory of one are the reader's doing. */
const longest = 1 << 18;

/** A broken form of one of the inputs: one to four mutations. `words` are what the format's syntax is made of. */
export function mutate(inputs: readonly Buffer[], words: readonly string[], dice: Dice): Buffer {
  let bytes = dice.pick(inputs);
  const count = 1 + dice.below(4);
  for (let i = 0; i < count; i++) {
    const change = dice.chance(0.4) && isJson(bytes) ? mutateJson : dice.pick(changes);
    bytes = change(bytes, { dice, words, inputs }).subarray(0, longest);
  }
  return bytes;
}

interface Material {
  dice: Dice;
  words: readonly string[];
  inputs: readonly Buffer[];
}
type Change = (bytes: Buffer, material: Material) => Buffer;

/** `bytes` with those from `start` to `end` replaced. */
const replaced = (bytes: Buffer, start: number, end: number, by: Uint8Array | string) =>
  Buffer.concat([bytes.subarray(0, start), Buffer.from(by as string), bytes.subarray(end)]);

/** Two places in order. */
function range(bytes: Buffer, dice: Dice): [number, number] {
  const start = dice.below(bytes.length + 1);
  return [start, Math.min(bytes.length, start + dice.size(Math.max(1, bytes.length)))];
}

const flipBits: Change = (bytes, { dice }) => {
  const changed = Buffer.from(bytes);
  for (let i = 0; i < dice.size(16) && changed.length > 0; i++) {
    const at = dice.below(changed.length);
    changed[at] = changed[at]! ^ (1 << dice.below(8));
  }
  return changed;
};

const truncate: Change = (bytes, { dice }) => bytes.subarray(0, dice.below(bytes.length + 1));

const cutOut: Change = (bytes, { dice }) => replaced(bytes, ...range(bytes, dice), '');

const swapChunks: Change = (bytes, { dice }) => {
  const places = Array.from({ length: 4 }, () => dice.below(bytes.length + 1)).sort((a, b) => a - b);
  const [a, b, c, d] = places as [number, number, number, number];
  return Buffer.concat([
    bytes.subarray(0, a),
    bytes.subarray(c, d),
    bytes.subarray(b, c),
    bytes.subarray(a, b),
    bytes.subarray(d),
  ]);
};

const splice: Change = (bytes, { dice, inputs }) => {
  const other = dice.pick(inputs);
  const [start, end] = range(other, dice);
  return replaced(bytes, ...range(bytes, dice), other.subarray(start, end));
};

const repeat: Change = (bytes, { dice }) => {
  const [start, end] = range(bytes, dice);
  const part = bytes.subarray(start, Math.min(end, start + 4096));
  const times = Math.min(dice.size(10_000), Math.floor(longest / Math.max(1, part.length)));
  return replaced(bytes, start, start, Buffer.concat(Array.from({ length: times }, () => part)));
};

/** Numbers at the edges of their types, as bytes: lengths, counts and offsets of binary formats. */
const lengthField: Change = (bytes, { dice }) => {
  const width = dice.pick([1, 2, 4, 8]);
  if (bytes.length < width) return bytes;
  const field = Buffer.alloc(8);
  const value = dice.pick([
    0n,
    1n,
    2n ** 31n - 1n,
    2n ** 31n,
    2n ** 32n - 1n,
    2n ** 53n,
    2n ** 63n,
    2n ** 64n - 1n,
    BigInt(bytes.length),
    BigInt(dice.size(1 << 24)),
  ]);
  if (dice.chance(0.5)) field.writeBigUInt64LE(value);
  else field.writeBigUInt64BE((value << BigInt(64 - 8 * width)) & (2n ** 64n - 1n));
  const at = dice.chance(0.3) ? 0 : dice.below(bytes.length - width + 1);
  return replaced(bytes, at, at + width, field.subarray(0, width));
};

/** Variable-length numbers as in Thrift and protocol buffers, at their longest. */
const varint: Change = (bytes, { dice }) => {
  const at = dice.below(bytes.length + 1);
  const long = Buffer.from([...Array.from({ length: dice.below(10) }, () => 0xff), dice.below(128)]);
  return replaced(bytes, at, Math.min(bytes.length, at + dice.below(5)), long);
};

const numbers = [
  '0',
  '-1',
  '1e999',
  '-1e999',
  '1e-400',
  '9007199254740993',
  '18446744073709551616',
  '4294967296',
  '0.1',
  '-0',
  'NaN',
  '1'.repeat(400),
];

const numberText: Change = (bytes, { dice }) => {
  const places = [
    ...bytes
      .subarray(0, 1 << 16)
      .toString('latin1')
      .matchAll(/-?\d+(\.\d+)?/g),
  ];
  if (places.length === 0) return insertWord(bytes, { dice, words: numbers, inputs: [] });
  const { index, 0: text } = dice.pick(places);
  return replaced(bytes, index, index + text.length, dice.pick(numbers));
};

const nest: Change = (bytes, { dice }) => {
  const [open, close] = dice.pick([
    ['[', ']'],
    ['{"a":', '}'],
    ['(', ')'],
    ['- ', ''],
    ['{{', '}}'],
    ['{% if x %}', '{% endif %}'],
    ['&a [*a, ', ']'],
  ] as const);
  const depth = dice.size(20_000);
  const at = dice.below(bytes.length + 1);
  const [left, right] = [open.repeat(depth), dice.chance(0.7) ? close.repeat(depth) : ''];
  return replaced(bytes, at, at, `${left}1${right}`);
};

/** Overlong forms, halves of surrogate pairs, bytes that UTF-8 never has, marks, controls. */
const odd = [
  'ff',
  'c080',
  'eda080',
  'f8888080',
  'efbbbf',
  'fffe',
  '00',
  'e280a8',
  'c2',
  'f09f98',
  '1b5b324a',
  '0d',
  '0a',
].map((hex) => Buffer.from(hex, 'hex'));

const oddBytes: Change = (bytes, { dice }) => {
  const at = dice.below(bytes.length + 1);
  return replaced(bytes, at, at, dice.pick(odd));
};

const insertWord: Change = (bytes, { dice, words }) => {
  if (words.length === 0) return bytes;
  const at = dice.below(bytes.length + 1);
  return replaced(bytes, at, Math.min(bytes.length, at + (dice.chance(0.5) ? 0 : dice.size(16))), dice.pick(words));
};

const longText: Change = (bytes, { dice }) => {
  const at = dice.below(bytes.length + 1);
  return replaced(
    bytes,
    at,
    at,
    dice.pick(['a', ' ', '"', '\\', '\n', '.', '\u{1f600}', '![']).repeat(dice.size(1 << 15)),
  );
};

const changes: readonly Change[] = [
  flipBits,
  flipBits,
  truncate,
  cutOut,
  swapChunks,
  splice,
  splice,
  repeat,
  lengthField,
  lengthField,
  varint,
  numberText,
  numberText,
  nest,
  oddBytes,
  insertWord,
  insertWord,
  longText,
];

const isJson = (bytes: Buffer) => [0x7b, 0x5b].includes(bytes[0] ?? 0);

/** A value of a JSON text, or of one of its lines, replaced, taken out or doubled: what syntax alone does not reach. */
const mutateJson: Change = (bytes, { dice }) => {
  const text = bytes.toString('utf8');
  const start = dice.chance(0.5) ? text.lastIndexOf('\n', dice.below(text.length)) + 1 : 0;
  const end = text.indexOf('\n', start) === -1 || start === 0 ? text.length : text.indexOf('\n', start);
  let value: unknown;
  try {
    value = JSON.parse(text.slice(start, end));
  } catch {
    return bytes;
  }
  const places: { holder: Record<string, unknown>; key: string }[] = [];
  const visit = (holder: unknown) => {
    if (typeof holder !== 'object' || holder === null) return;
    for (const key of Object.keys(holder).slice(0, 200)) {
      places.push({ holder: holder as Record<string, unknown>, key });
      visit((holder as Record<string, unknown>)[key]);
    }
  };
  visit(value);
  if (places.length === 0) return Buffer.from(JSON.stringify(oddValue(dice)));
  const { holder, key } = dice.pick(places);
  const own = holder[key];
  dice.pick([
    () => delete holder[key],
    () => {
      const other = dice.pick(places);
      holder[key] = other.holder[other.key];
    },
    () => Object.defineProperty(holder, '__proto__', { value: own, enumerable: true }),
    () => {
      // A list would take some of them for its length.
      if (Array.isArray(holder)) holder.push(own);
      else holder[dice.pick(odds.keys)] = own;
    },
    ...Array.from({ length: 4 }, () => () => {
      holder[key] = oddValue(dice);
    }),
  ])();
  let changed: string;
  try {
    changed = JSON.stringify(value);
  } catch {
    return bytes; // A value that was put into itself.
  }
  if (changed.length > 4 * longest) return bytes;
  return Buffer.from(text.slice(0, start) + changed + text.slice(end));
};

const odds = {
  keys: ['constructor', 'toString', 'length', '', '0', 'a'.repeat(5000), '\u0000', 'then'],
  texts: [
    '',
    'a'.repeat(70_000),
    '../../../../etc/passwd',
    '/etc/passwd',
    'C:\\x',
    '\ud800',
    '\u0000',
    '__proto__',
    '(a+)+$',
    '{{ 1/0 }}',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: a placeholder of recipes
    '${HOME}',
    'NaN',
  ],
};

function oddValue(dice: Dice): unknown {
  return dice.pick<() => unknown>([
    () => null,
    () => true,
    () => [],
    () => ({}),
    () => dice.pick([0, -1, 0.5, 1e308, -1e308, 2 ** 31, 2 ** 53, 1e-320]),
    () => dice.pick(odds.texts),
    () => Array.from({ length: dice.size(5000) }, () => 0),
    () => JSON.parse(`${'['.repeat(3000)}${']'.repeat(3000)}`) as unknown,
    () => JSON.parse('{"length": 5, "then": 1, "toString": 1, "constructor": null}') as unknown,
  ])();
}
