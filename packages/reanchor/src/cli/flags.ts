import { UsageError } from '../errors.js';
import { checkRecipeValue } from '../recipe/index.js';

/** What a flag's number may be. */
export interface NumberRule {
  integer?: boolean;
  min?: number;
  /** Excludes `min` itself. */
  above?: boolean;
  max?: number;
}

/** The number a flag says. Errors: UsageError that names the flag, what was given and what is allowed. */
export function numberFlag(
  flag: string,
  text: string,
  { integer = false, min = 0, above = false, max }: NumberRule,
): number {
  const value = text.trim() === '' ? Number.NaN : Number(text);
  const isAllowed =
    Number.isFinite(value) &&
    (!integer || Number.isInteger(value)) &&
    (above ? value > min : value >= min) &&
    (max === undefined || value <= max);
  if (isAllowed) return value;
  const kind = integer ? 'a whole number' : 'a number';
  const range = `${above ? 'above' : 'from'} ${min}${max === undefined ? '' : ` to ${max}`}`;
  throw new UsageError(`${flag}: ${JSON.stringify(text)} is not allowed; ${kind} ${range} is`);
}

/** One of the values of a flag. Errors: UsageError. */
export function choiceFlag<const Value extends string>(flag: string, text: string, values: readonly Value[]): Value {
  const value = values.find((one) => one === text);
  if (value !== undefined) return value;
  throw new UsageError(`${flag}: ${JSON.stringify(text)} is not allowed; ${values.join(', ')} are`);
}

/** The number a text says, or the text itself, for the message. */
export const numeric = (text: string) => (text.trim() === '' || Number.isNaN(Number(text)) ? text : Number(text));

/** The device that `--device` names, if it was given. Errors: UsageError. */
export const deviceFlag = (text: string | undefined): string | undefined =>
  text === undefined ? undefined : (checkRecipeValue('device', text, '--device') as string);
