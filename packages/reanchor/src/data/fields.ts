/** Checked access to the fields of a raw row; every mistake names the field, what it is and what is allowed. */
import type { FormatError } from '../errors.js';
import { isRecord } from '../formats/index.js';
import { nameOf, numberOf } from './values.js';

export type Fault = (message: string) => FormatError;

/** What is known of the fields' file. */
export interface FieldsOrigin {
  /** Whether all values are text, whatever they stand for: of CSV. */
  isText?: boolean | undefined;
  /** Hears what is read otherwise than it is written, in sentences. */
  note?: ((note: string) => void) | undefined;
}

export class Fields {
  /** The fields whose values were taken; those that were only asked for are not among them. */
  readonly taken = new Set<string>();

  /** `allowed` says what a row looks like; `path` is where in the row these fields are. */
  constructor(
    private readonly row: Readonly<Record<string, unknown>>,
    private readonly wrong: Fault,
    private readonly allowed: string,
    private readonly origin: FieldsOrigin = {},
    private readonly path = '',
  ) {}

  /** Whether the field is there, whatever its value. */
  includes(name: string): boolean {
    return Object.hasOwn(this.row, name);
  }

  /** Whether the field has a value; null is none. */
  has(name: string): boolean {
    return this.row[name] !== undefined && this.row[name] !== null;
  }

  isText(name: string): boolean {
    return typeof this.row[name] === 'string';
  }

  isList(name: string): boolean {
    return Array.isArray(this.row[name]);
  }

  isObject(name: string): boolean {
    return isRecord(this.row[name]);
  }

  /** Whether {@link flag} reads the field. */
  isFlag(name: string): boolean {
    return this.#flagOf(this.row[name]) !== undefined;
  }

  #flagOf(given: unknown): boolean | undefined {
    if (typeof given === 'boolean') return given;
    const word = this.origin.isText ? String(given).toLowerCase() : '';
    if (word === 'true' || word === 'false') return word === 'true';
    const number = /^[01](\.0*)?$/.test(word) ? Number(word) : numberOf(given);
    return number === 0 || number === 1 ? number === 1 : undefined;
  }

  /** The names of all fields with something in them. */
  get names(): string[] {
    const isEmpty = (value: unknown) => value === '' || (Array.isArray(value) && value.length === 0);
    return Object.keys(this.row).filter((name) => this.has(name) && !isEmpty(this.row[name]));
  }

  /** All fields with their values. */
  all(): Readonly<Record<string, unknown>> {
    return this.row;
  }

  /** The value as it is; undefined where there is none. */
  value(name: string): unknown {
    this.taken.add(name);
    return this.row[name];
  }

  text(name: string): string {
    const given = this.value(name);
    return typeof given === 'string' ? given : this.refuse(name, 'text');
  }

  /**
   * True or false. 1 and 0 stand for them, as in TRL, which is noted; of CSV, so do the words. (As text in JSON,
   * "false" would be true to Python.)
   */
  flag(name: string): boolean {
    const given = this.value(name);
    const flag = this.#flagOf(given) ?? this.refuse(name, 'true or false (or 1 or 0)');
    if (typeof given !== 'boolean' && !/^(true|false)$/i.test(String(given))) {
      this.origin.note?.(`"${this.pathOf(name)}" is 1 or 0; 1 is read as true, a desirable completion, 0 as false`);
    }
    return flag;
  }

  number(name: string): number {
    return numberOf(this.value(name)) ?? this.refuse(name, 'a number');
  }

  /** The fields of an object in a field. */
  object(name: string): Fields {
    const given = this.value(name);
    return isRecord(given) ? this.inside(given, name) : this.refuse(name, 'an object');
  }

  /** A list as fields 0, 1, ..., of which there have to be `length` if that is given. */
  list(name: string, length?: number): { items: Fields; length: number } {
    const given = this.value(name);
    if (!Array.isArray(given)) return this.refuse(name, 'a list');
    if (length !== undefined && given.length !== length) {
      throw this.fault(name, `is a list of ${given.length}, not of ${length}`);
    }
    return { items: this.inside(Object.fromEntries(given.entries()), name), length: given.length };
  }

  /** An error about a field, with what is allowed. */
  fault(name: string, what: string): FormatError {
    return this.wrong(`"${this.pathOf(name)}" ${what}; ${this.allowed}`);
  }

  private refuse(name: string, wanted: string): never {
    throw this.fault(name, this.includes(name) ? `is ${nameOf(this.row[name])}, not ${wanted}` : 'is missing');
  }

  private inside(row: Readonly<Record<string, unknown>>, name: string): Fields {
    return new Fields(row, this.wrong, this.allowed, this.origin, this.pathOf(name));
  }

  private pathOf(name: string): string {
    if (this.path === '') return name;
    return /^\d+$/.test(name) ? `${this.path}[${name}]` : `${this.path}.${name}`;
  }
}
