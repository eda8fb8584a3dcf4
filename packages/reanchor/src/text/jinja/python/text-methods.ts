/** The methods of str, and of escaped text, which stays escaped. */
import { fail, unsupported } from '../errors.js';
import { requireText } from '../limits.js';
import { capitalize, caseFold, isTitle, swapCase, toTitle } from './casing.js';
import * as is from './characters.js';
import { toIndex, toText } from './convert.js';
import { escapeMarkup } from './markup.js';
import { padText, repeatText } from './repeat.js';
import { Builtin, type Run, type Signature, signatureOf } from './signature.js';
import { elementAt } from './slices.js';
import { joinTexts, searchMethods, type TextMethod, type TextMethods } from './text-search.js';
import { Dict, hasElements, isInteger, Markup, Tuple, textOf, typeName, type Value } from './values.js';

const align =
  (where: '<' | '>' | 'center'): TextMethod =>
  (text, width, fill) => {
    const mark = toText(fill, 'The fill character');
    if (is.lengthOf(mark) !== 1) fail('TypeError', 'The fill character must be exactly one character long');
    return padText(text, toIndex(width), where, mark);
  };

function expandTabs(text: string, size: Value): string {
  const width = toIndex(size);
  let column = 0;
  let expanded = '';
  for (const point of text) {
    if (point === '\t') {
      const missing = width > 0 ? width - (column % width) : 0;
      expanded += repeatText(' ', missing);
      column += missing;
    } else {
      expanded += point;
      column = point === '\n' || point === '\r' ? 0 : column + 1;
    }
    requireText(expanded.length);
  }
  return expanded;
}

function zeroFill(text: string, width: Value): string {
  const [, sign, rest] = /^([+-]?)(.*)$/s.exec(text)!;
  return sign + repeatText('0', toIndex(width) - is.lengthOf(text)) + rest;
}

/** A text with its characters replaced by those that a table has at their code points. */
function translate(text: string, table: Value): string {
  let translated = '';
  for (const point of text) {
    if (!hasElements(table)) fail('TypeError', `'${typeName(table)}' object is not subscriptable`);
    const by = elementAt(table, point.codePointAt(0)!);
    translated += by === undefined ? point : by === null ? '' : (textOf(by) ?? characterOf(by));
    requireText(translated.length);
  }
  return translated;
}

function characterOf(value: Value): string {
  if (!isInteger(value)) fail('TypeError', 'character mapping must return integer, None or str');
  const code = Number(value);
  if (code < 0 || code > 0x10ffff) fail('ValueError', 'character mapping must be in range(0x110000)');
  return String.fromCodePoint(code);
}

/** The table of {@link translate} of a mapping, or of texts that name each other's characters. */
function makeTranslation(_text: string, from: Value, to: Value, gone: Value): Value {
  const [values, removed] = [to, gone].map((text, i) =>
    text === null ? null : [...toText(text, `maketrans() argument ${i + 2}`)],
  );
  if (!values) {
    if (from instanceof Dict) return Dict.of([...from.entries()].map(([key, value]) => [codeOf(key), value]));
    return fail('TypeError', 'if you give only one argument to maketrans it must be a dict');
  }
  const keys = [...toText(from, 'the first maketrans argument')];
  if (keys.length !== values.length) {
    fail('ValueError', 'the first two maketrans arguments must have equal length');
  }
  const table = Dict.of(keys.map((key, i) => [codeOf(key), codeOf(values[i]!)]));
  for (const point of removed ?? []) table.set(codeOf(point), null);
  return table;
}

function codeOf(key: Value): Value {
  const text = textOf(key);
  if (text === undefined) {
    return isInteger(key) ? key : fail('TypeError', 'keys in translate table must be strings or integers');
  }
  if (is.lengthOf(text) !== 1) fail('ValueError', 'string keys in translate table must be of length 1');
  return text.codePointAt(0)!;
}

const methods: TextMethods = {
  ...searchMethods,
  capitalize: ['/', capitalize],
  casefold: ['/', caseFold],
  center: ["width fillchar='_' /", align('center')],
  ljust: ["width fillchar='_' /", align('<')],
  rjust: ["width fillchar='_' /", align('>')],
  zfill: ['width /', zeroFill],
  expandtabs: ['tabsize=8', expandTabs],
  lower: ['/', (text) => text.toLowerCase()],
  upper: ['/', (text) => text.toUpperCase()],
  swapcase: ['/', swapCase],
  title: ['/', toTitle],
  removeprefix: ['prefix /', (text, part) => withoutAffix(text, toText(part, 'must'), 'start')],
  removesuffix: ['suffix /', (text, part) => withoutAffix(text, toText(part, 'must'), 'end')],
  translate: ['table /', translate],
  maketrans: ['x y=None z=None /', makeTranslation],
  encode: ["encoding='utf-8' errors='strict'", () => unsupported('str.encode, which gives bytes,')],
  isalnum: ['/', is.isAlphanumeric],
  isalpha: ['/', is.isAlpha],
  isascii: ['/', is.isAscii],
  isdecimal: ['/', is.isDecimal],
  isdigit: ['/', is.isDigit],
  isidentifier: ['/', is.isIdentifier],
  islower: ['/', is.isLower],
  isnumeric: ['/', is.isNumeric],
  isprintable: ['/', is.isPrintable],
  isspace: ['/', is.isSpace],
  istitle: ['/', isTitle],
  isupper: ['/', is.isUpper],
};

function withoutAffix(text: string, affix: string, where: 'start' | 'end'): string {
  if (where === 'start') return text.startsWith(affix) ? text.slice(affix.length) : text;
  return affix !== '' && text.endsWith(affix) ? text.slice(0, -affix.length) : text;
}

/** What the methods of escaped text do with arguments that become part of it: they escape them. */
const escaping: TextMethods = {
  join: ['iterable /', (text, values) => joinTexts(text, values, (value) => escapeMarkup(value).text)],
  replace: ['old new count=-1 /', (text, old, by, most) => methods.replace![1](text, old, escapeMarkup(by).text, most)],
  center: ["width fillchar='_' /", (text, width, fill) => align('center')(text, width, escapeMarkup(fill))],
  ljust: ["width fillchar='_' /", (text, width, fill) => align('<')(text, width, escapeMarkup(fill))],
  rjust: ["width fillchar='_' /", (text, width, fill) => align('>')(text, width, escapeMarkup(fill))],
};

const withSignatures = (table: TextMethods) =>
  new Map(
    Object.entries(table).map(([name, [parameters, run]]) => [name, { signature: signatureOf(parameters), run }]),
  );
const ofText: ReadonlyMap<string, { signature: Signature; run: TextMethod }> = withSignatures(methods);
const ofMarkup: typeof ofText = withSignatures({ ...methods, ...escaping });

/** A method of a text, ready to be called; undefined where str has none of the name. */
export function textMethod(value: string | Markup, name: string): Builtin | undefined {
  const isMarkup = value instanceof Markup;
  const method = (isMarkup ? ofMarkup : ofText).get(name);
  if (!method) return undefined;
  const text = isMarkup ? value.text : value;
  const run: Run = (...values) => method.run(text, ...values);
  return new Builtin(name, method.signature, isMarkup ? (...values) => escaped(run(...values)) : run);
}

/** The texts of a method's result as escaped ones. */
function escaped(value: Value): Value {
  if (typeof value === 'string') return new Markup(value);
  if (Array.isArray(value)) return value.map(escaped);
  return value instanceof Tuple ? new Tuple(value.items.map(escaped)) : value;
}
