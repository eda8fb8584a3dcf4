import { shown, UserError } from '../errors.js';
import type { ConfigJson } from './causal-lm.js';

const maxInteger = 2 ** 31 - 1;

/** Where less than any array could have is more than any network has. */
const maxOf: Record<string, number> = {
  num_hidden_layers: 10_000,
  num_attention_heads: 2 ** 16,
  num_key_value_heads: 2 ** 16,
  head_dim: 2 ** 16,
  hidden_size: 2 ** 24,
};

/** Reads numbers and choices of a config.json; what the network cannot be built with is refused by name. */
export class ConfigReader {
  constructor(readonly json: ConfigJson) {}

  /** A whole number of at least 1, and no more than the network could have. */
  integer(key: string, fallback?: number): number {
    return this.count(key, this.json[key] ?? fallback);
  }

  /** `value`, called `key` in messages, as such a number. */
  count(key: string, value: unknown): number {
    const max = maxOf[key] ?? maxInteger;
    if (Number.isInteger(value) && (value as number) >= 1 && (value as number) <= max) return value as number;
    throw new UserError(`config.json: ${key} is ${shown(value)}; a whole number from 1 to ${max} is needed`);
  }

  /** `value`, called `key` in messages, as a number above 0 and up to `max`. */
  positive(key: string, value: unknown, max: number): number {
    if (typeof value === 'number' && value > 0 && value <= max) return value;
    throw new UserError(`config.json: ${key} is ${shown(value)}; a number above 0, up to ${max}, is needed`);
  }

  /** The base of rotary positions: below 1 later channels would turn faster than once a token. */
  ropeTheta(key: string, value: unknown): number {
    const max = 1e15;
    if (typeof value === 'number' && value >= 1 && value <= max) return value;
    throw new UserError(`config.json: ${key} is ${shown(value)}; a number from 1 to ${max} is needed`);
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
