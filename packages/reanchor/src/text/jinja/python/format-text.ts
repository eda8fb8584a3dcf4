/** Texts with fields: `'{0} of {name!r:>8}'.format(...)`. Source: Python's `string.Formatter`, Jinja's sandbox. */
import { fail } from '../errors.js';
import { isDigit } from './characters.js';
import { formatValue } from './format-spec.js';
import { escapeMarkup } from './markup.js';
import { asciiOf, reprOf, stringOf } from './repr.js';
import { Markup, type Value } from './values.js';

/** A text without fields, and the field behind it. */
interface Piece {
  text: string;
  field?: { name: string; conversion: string | undefined; format: string };
}

/** Where the fields of a text take their values. */
export interface FieldValues {
  positional: readonly Value[];
  /** The value of a name, or undefined. */
  named(name: string): Value | undefined;
  /** `value.name` and `value[key]` as templates have them. */
  attribute(value: Value, name: string): Value;
  item(value: Value, key: Value): Value;
}

/**
 * A text with its fields filled in; in escaped text the values are escaped. Errors: ValueError for a field that is not
 * one; IndexError and KeyError for one without value; those of formats.
 */
export function formatText(format: string, values: FieldValues, isEscaped: boolean): string {
  return new Formatter(values, isEscaped).format(format, 2);
}

class Formatter {
  /** The number of the next field without name; undefined once one had a number. */
  #next: number | undefined = 0;

  constructor(
    private readonly values: FieldValues,
    private readonly isEscaped: boolean,
  ) {}

  format(format: string, depth: number): string {
    if (depth < 0) fail('ValueError', 'Max string recursion exceeded');
    let text = '';
    for (const piece of pieces(format)) {
      text += piece.text;
      if (!piece.field) continue;
      const value = convert(this.#valueOf(this.#numbered(piece.field.name)), piece.field.conversion);
      const spec = this.format(piece.field.format, depth - 1);
      text += this.isEscaped ? escapeField(value, spec) : formatValue(value, spec);
    }
    return text;
  }

  #numbered(name: string): string {
    if (name !== '' && !isDigit(name)) return name;
    const mixed = () =>
      fail('ValueError', 'cannot switch from manual field specification to automatic field numbering');
    if (name === '') {
      if (this.#next === undefined) mixed();
      return String(this.#next!++);
    }
    if (this.#next) mixed();
    this.#next = undefined;
    return name;
  }

  #valueOf(name: string): Value {
    const [, first, rest] = /^([^.[]*)(.*)$/s.exec(name)!;
    let value = this.#argument(first!);
    for (let left = rest!; left !== ''; ) {
      const step = /^(?:\.([^.[]*)|\[([^\]]*)\])/s.exec(left);
      if (!step) return wrongStep(left);
      const [all, attribute, key] = step;
      if ((attribute ?? key) === '') fail('ValueError', 'Empty attribute in format string');
      value =
        attribute === undefined
          ? this.values.item(value, isDigit(key!) ? Number(key) : key!)
          : this.values.attribute(value, attribute);
      left = left.slice(all.length);
    }
    return value;
  }

  #argument(name: string): Value {
    if (isDigit(name)) {
      const value = this.values.positional[Number(name)];
      return value === undefined ? fail('IndexError', 'tuple index out of range') : value;
    }
    const value = this.values.named(name);
    return value === undefined ? fail('KeyError', `'${name}'`) : value;
  }
}

const wrongStep = (left: string): never =>
  fail(
    'ValueError',
    left.startsWith('[') ? "Missing ']' in format string" : "Only '.' or '[' may follow ']' in format field specifier",
  );

function escapeField(value: Value, spec: string): string {
  return value instanceof Markup && spec === '' ? value.text : escapeMarkup(formatValue(value, spec)).text;
}

function convert(value: Value, conversion: string | undefined): Value {
  if (conversion === undefined) return value;
  if (conversion === 's') return stringOf(value);
  if (conversion === 'r') return reprOf(value);
  if (conversion === 'a') return asciiOf(value);
  return fail('ValueError', `Unknown conversion specifier ${conversion}`);
}

/** The pieces of a text. Source: CPython's `MarkupIterator`. */
function* pieces(format: string): Iterable<Piece> {
  let at = 0;
  while (at < format.length) {
    const [, text] = /^([^{}]*)/.exec(format.slice(at))!;
    const brace = format[at + text!.length];
    at += text!.length + 1;
    if (brace === undefined) {
      yield { text: text! };
      return;
    }
    if (format[at] === brace) {
      yield { text: text! + brace };
      at++;
    } else if (brace === '}' || at >= format.length) {
      fail('ValueError', `Single '${brace}' encountered in format string`);
    } else {
      const { field, end } = fieldAt(format, at);
      yield { text: text!, field };
      at = end;
    }
  }
}

function fieldAt(format: string, start: number): { field: NonNullable<Piece['field']>; end: number } {
  const endOf = (at: number) => (at < format.length ? at : fail('ValueError', "expected '}' before end of string"));
  let at = start;
  for (let isInBrackets = false; ; at++) {
    const character = format[endOf(at)]!;
    if (character === '{') fail('ValueError', "unexpected '{' in field name");
    if (character === '[') isInBrackets = true;
    else if (character === ']') isInBrackets = false;
    else if (!isInBrackets && '}:!'.includes(character)) break;
  }
  const name = format.slice(start, at);
  let conversion: string | undefined;
  if (format[at] === '!') {
    if (at + 1 >= format.length) fail('ValueError', 'end of string while looking for conversion specifier');
    [conversion] = format.slice(at + 1);
    at += 1 + conversion!.length;
    if (at >= format.length) fail('ValueError', "unmatched '{' in format spec");
    if (format[at] !== ':' && format[at] !== '}') fail('ValueError', "expected ':' after conversion specifier");
  }
  if (format[at] === '}') return { field: { name, conversion, format: '' }, end: at + 1 };
  const begin = at + 1;
  let depth = 1;
  for (at = begin; ; at++) {
    if (at >= format.length) fail('ValueError', "unmatched '{' in format spec");
    if (format[at] === '{') depth++;
    else if (format[at] === '}' && --depth === 0) break;
  }
  return { field: { name, conversion, format: format.slice(begin, at) }, end: at + 1 };
}
