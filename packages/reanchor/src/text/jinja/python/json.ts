/** Values as JSON, as Python's `json.dumps` writes it. */
import { fail } from '../errors.js';
import { deeper, requireText } from '../limits.js';
import { sorted } from './compare.js';
import { floatText } from './floats.js';
import { integerText } from './number-text.js';
import { repeatText } from './repeat.js';
import { Dict, elementsOf, Float, Tuple, textOf, typeName, type Value } from './values.js';

export interface JsonStyle {
  ensureAscii: boolean;
  /** What a level is indented by; undefined for all on one line. */
  indent: string | undefined;
  itemSeparator: string;
  keySeparator: string;
  sortKeys: boolean;
}

/** A value as JSON. Errors: TypeError for values, and keys, that JSON has not; LimitError. */
export function dumpJson(value: Value, style: JsonStyle): string {
  return new Writer(style).write(value, 0);
}

class Writer {
  constructor(private readonly style: JsonStyle) {}

  write(value: Value, depth: number): string {
    const text = textOf(value);
    if (text !== undefined) return this.#quote(text);
    if (value === null || typeof value === 'boolean') return String(value);
    if (typeof value === 'number' || typeof value === 'bigint') return integerText(value);
    if (value instanceof Float) return floatJson(value.value);
    const elements = elementsOf(value);
    if (elements) {
      return this.#group('[]', elements, depth, (element, below) => this.write(element, below));
    }
    if (value instanceof Dict) {
      const { keySeparator } = this.style;
      const write = ([key, inner]: [Value, Value], below: number) =>
        this.#quote(keyText(key)) + keySeparator + this.write(inner, below);
      return this.#group('{}', this.#entries(value), depth, write);
    }
    return fail('TypeError', `Object of type ${typeName(value)} is not JSON serializable`);
  }

  #entries(dict: Dict): [Value, Value][] {
    const entries = [...dict.entries()];
    if (!this.style.sortKeys) return entries;
    const pairs = entries.map((entry) => new Tuple(entry));
    return sorted(pairs, (pair) => pair, false).map((pair) => [...(pair as Tuple).items] as [Value, Value]);
  }

  #group<T>(brackets: string, inner: readonly T[], depth: number, write: (one: T, depth: number) => string): string {
    if (inner.length === 0) return brackets;
    const { indent, itemSeparator } = this.style;
    const below = deeper(depth);
    const line = (level: number) => (indent === undefined ? '' : `\n${repeatText(indent, level)}`);
    let text = brackets[0]! + line(below);
    for (const [i, one] of inner.entries()) {
      if (i > 0) text += itemSeparator + line(below);
      text += write(one, below);
      requireText(text.length);
    }
    return text + line(depth) + brackets[1]!;
  }

  #quote(text: string): string {
    // JSON.stringify escapes lone halves of pairs, which Python leaves as they are.
    const quoted = isWellFormed(text)
      ? JSON.stringify(text)
      : text
          .split(/([\ud800-\udfff])/)
          .map(quotePart)
          .join('');
    const whole = isWellFormed(text) ? quoted : `"${quoted}"`;
    if (!this.style.ensureAscii) return whole;
    return whole.replace(/[^\x20-\x7e]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
  }
}

const isWellFormed = (text: string) => !/\p{Cs}/u.test(text);
const quotePart = (part: string) => (/^[\ud800-\udfff]$/.test(part) ? part : JSON.stringify(part).slice(1, -1));

function floatJson(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (Number.isFinite(value)) return floatText(value);
  return value > 0 ? 'Infinity' : '-Infinity';
}

function keyText(key: Value): string {
  const text = textOf(key);
  if (text !== undefined) return text;
  if (key === null || typeof key === 'boolean') return String(key);
  if (typeof key === 'number' || typeof key === 'bigint') return integerText(key);
  if (key instanceof Float) return floatJson(key.value);
  return fail('TypeError', `keys must be str, int, float, bool or None, not ${typeName(key)}`);
}
