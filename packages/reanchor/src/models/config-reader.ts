import { shown, UserError } from '../errors.js';
import type { ConfigJson } from './causal-lm.js';

const maxInteger = 2 ** 31 - 1;

/** Reads numbers and choices of a config.json; what the network cannot be built with is refused by name. */
export class ConfigReader {
  constructor(readonly json: ConfigJson) {}

  /** A whole number of at least 1, and no more than any array of the network could have. */
  integer(key: string, fallback?: number): number {
    const value = this.json[key] ?? fallback;
    if (!Number.isInteger(value) || (value as number) < 1 || (value as number) > maxInteger) {
      throw new UserError(
        `config.json: ${key} is ${shown(this.json[key])}; a whole number from 1 to ${maxInteger} is needed`,
      );
    }
    return value as number;
  }

  /** `value`, called `key` in messages, as a number above 0. */
  positive(key: string, value: unknown): number {
    if (typeof value === 'number' && value > 0) return value;
    throw new UserError(`config.json: ${key} is ${shown(value)}; a number above 0 is needed`);
  }

  /** One of the values the network knows; the first when the key is left out. */
  oneOf<const Value>(key: string, values: readonly [Value, ...Value[]]): Value {
    const given = this.json[key] ?? values[0];
    const known = values.find((value) => value === given);
    if (known !== undefined) return known;
    throw new UserError(
      `config.json: ${key} ${shown(given)} is not supported; ${values.map((value) => JSON.stringify(value)).join(', ')} ${values.length > 1 ? 'are' : 'is'}`,
    );
  }
}
