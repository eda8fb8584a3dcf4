import { FormatError, shown } from '../errors.js';
import { Float, isRecord } from '../formats/index.js';

/** A number of JSON that may have been read with its form kept: 8.0 is a Float, a very long integer a bigint. */
const plainNumber = (value: unknown): unknown =>
  value instanceof Float || typeof value === 'bigint' ? Number(value) : value;

const isTexts = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every((one) => typeof one === 'string');

export const isRank = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 1;
export const isAlpha = (value: unknown): value is number =>
  typeof value === 'number' && Number.isFinite(value) && value > 0;

/** What a rank may be, and an alpha, as messages say it. */
export const ranks = 'a whole number from 1 on';
export const alphas = 'a number above 0';

/**
 * Reads keys of an adapter_config.json. One that is missing or null has its default, as old files lack half of the
 * keys. Errors: FormatError, which names the key, what it is and what it may be.
 */
export class ConfigFields {
  constructor(
    readonly json: Readonly<Record<string, unknown>>,
    readonly file: string,
  ) {}

  flag(key: string): boolean {
    return this.#get(key, false, (value) => typeof value === 'boolean', 'true or false');
  }

  rank(key: string, fallback: number): number {
    return this.#get(key, fallback, isRank, ranks);
  }

  alpha(key: string, fallback: number): number {
    const advice = `${alphas}: with 0 an adapter would do nothing, and exporters that are broken write it; the file that was trained has the right one`;
    return this.#get(key, fallback, isAlpha, advice);
  }

  probability(key: string): number {
    const isOne = (value: unknown): value is number => typeof value === 'number' && value >= 0 && value < 1;
    return this.#get(key, 0, isOne, 'a number from 0 up to, and without, 1');
  }

  oneOf<const Value extends string>(key: string, values: readonly [Value, ...Value[]]): Value {
    const isOne = (value: unknown): value is Value => values.some((known) => known === value);
    return this.#get(key, values[0], isOne, `one of ${values.join(', ')}`);
  }

  text(key: string): string | undefined {
    const isText = (value: unknown): value is string => typeof value === 'string';
    return this.#get(key, '', isText, 'a text') || undefined;
  }

  texts(key: string): string[] {
    return this.#get(key, [], isTexts, 'a list of texts');
  }

  textOrTexts(key: string): string | string[] {
    const isEither = (value: unknown): value is string | string[] => typeof value === 'string' || isTexts(value);
    return this.#get(key, [], isEither, 'a text or a list of texts');
  }

  counts(key: string): number[] | undefined {
    const value = plainNumber(this.json[key]) ?? undefined;
    if (value === undefined) return undefined;
    const list = (Array.isArray(value) ? value : [value]).map(plainNumber);
    if (list.every((one) => Number.isSafeInteger(one))) return list as number[];
    return this.#refuse(key, value, 'a whole number or a list of them');
  }

  /** An object of numbers by patterns, which are keys whatever they are called. */
  pattern(key: string, isAllowed: (value: unknown) => value is number, allowed: string): Map<string, number> {
    const object = this.#get(key, {}, isRecord, 'an object');
    const entries = Object.entries(object).map(([pattern, value]) => [pattern, plainNumber(value)] as const);
    for (const [pattern, value] of entries) {
      if (!isAllowed(value)) this.#refuse(`${key}, ${shown(pattern)}`, value, allowed);
    }
    return new Map(entries as [string, number][]);
  }

  #get<Value>(key: string, fallback: Value, isAllowed: (value: unknown) => value is Value, allowed: string): Value {
    const value = Object.hasOwn(this.json, key) ? (plainNumber(this.json[key]) ?? fallback) : fallback;
    return isAllowed(value) ? value : this.#refuse(key, value, allowed);
  }

  #refuse(key: string, value: unknown, allowed: string): never {
    throw new FormatError(`is ${shown(value)}; it may be ${allowed}`, { file: this.file, where: key });
  }
}
