/** Filters of texts. */
import { fail } from '../errors.js';
import { requireText } from '../limits.js';
import { space, word } from '../python/characters.js';
import { isOrdered } from '../python/compare.js';
import { toIndex, toText, unpack } from '../python/convert.js';
import { dumpJson } from '../python/json.js';
import { escapeMarkup, like, stripTags } from '../python/markup.js';
import { binary } from '../python/operators.js';
import { prettyPrint } from '../python/pretty-print.js';
import { stringOf } from '../python/repr.js';
import { builtins, positional } from '../python/signature.js';
import { sizeOf, sliceOf } from '../python/slices.js';
import { textMethod } from '../python/text-methods.js';
import { split, splitLines } from '../python/text-search.js';
import { wrapText } from '../python/text-wrap.js';
import {
  type Dict,
  isText,
  isTrue,
  Markup,
  type Tuple,
  textOf,
  typeName,
  Undefined,
  type Value,
} from '../python/values.js';

/** A value as text; escaped text stays escaped. */
const toStr = (value: Value): string | Markup => (isText(value) ? value : stringOf(value));

/** What a method of str makes of a value's text. */
const byMethod =
  (name: string) =>
  (value: Value, ...values: Value[]): Value =>
    textMethod(toStr(value), name)!.call(positional(...values));

const wordStart = new RegExp(`([-${space}({\\[<]+)`);

/** A text whose words begin with capitals. Other than `str.title`, only what may be before a word begins one. */
function title(value: Value): string {
  const capital = (part: string) => {
    const [first = ''] = part;
    return first.toUpperCase() + part.slice(first.length).toLowerCase();
  };
  return stringOf(value).split(wordStart).map(capital).join('');
}

function format(value: Value, given: Value, named: Value): Value {
  const { items } = given as Tuple;
  if (items.length > 0 && (named as Dict).size > 0) {
    fail('FilterArgumentError', "can't handle positional and keyword arguments at the same time");
  }
  return binary('%', toStr(value), (named as Dict).size > 0 ? named : given);
}

function indent(value: Value, width: Value, first: Value, blank: Value): Value {
  const indention = indentOf(width);
  if (!isText(value)) return notText(value);
  const [head = '', ...rest] = splitLines(`${stringOf(value)}\n`, false);
  requireText(rest.length * indention.length);
  const lines = rest.map((line) => (line === '' && !isTrue(blank) ? line : indention + line));
  return like(value, (isTrue(first) ? indention : '') + [head, ...lines].join('\n'));
}

/** Refuses a value that has not the method of a text that is asked of it. */
function without(value: Value, method: string): never {
  if (value instanceof Undefined) return value.refuse();
  return fail('AttributeError', `'${typeName(value)}' object has no attribute '${method}'`);
}

function notText(value: Value): never {
  if (value instanceof Undefined || Array.isArray(value)) return without(value, 'splitlines');
  return fail('TypeError', `unsupported operand type(s) for +=: '${typeName(value)}' and 'str'`);
}

function truncate(value: Value, length: Value, killWords: Value, end: Value, leeway: Value): Value {
  const more = leeway === null ? 5 : leeway;
  const least = sizeOf(end);
  if (!isOrdered('>=', length, least)) {
    fail('AssertionError', `expected length >= ${least}, got ${stringOf(length)}`);
  }
  if (!isOrdered('>=', more, 0)) fail('AssertionError', `expected leeway >= 0, got ${stringOf(more)}`);
  if (isOrdered('<=', sizeOf(value), binary('+', length, more))) return value;
  const cut = sliceOf(value, null, binary('-', length, least), null);
  const whole = textOf(cut) ?? without(cut, 'rsplit');
  const kept = isTrue(killWords) ? whole : split(whole, ' ', 1, true)[0]!;
  return binary('+', like(value, kept), end);
}

function wordWrap(value: Value, width: Value, breaksLong: Value, mark: Value, breaksHyphens: Value): string {
  const lineEnd = mark === null ? '\n' : (textOf(mark) ?? without(mark, 'join'));
  const text = textOf(value) ?? without(value, 'splitlines');
  const options = () => ({
    width: width instanceof Undefined ? width.refuse() : toIndex(width),
    breaksLongWords: isTrue(breaksLong),
    breaksOnHyphens: breaksHyphens === true,
  });
  const lines = splitLines(text, false).map((line) => wrapText(line, options()).join(lineEnd));
  return lines.join(lineEnd);
}

function toJson(value: Value, ascii: Value, indentation: Value, separators: Value, sortKeys: Value): string {
  const given = separators === null ? undefined : unpack(separators, 2).map((part) => toText(part, 'a separator'));
  return dumpJson(value, {
    ensureAscii: isTrue(ascii),
    indent: indentation === null || isText(value) ? undefined : indentOf(indentation),
    itemSeparator: given?.[0] ?? (indentation === null ? ', ' : ','),
    keySeparator: given?.[1] ?? ': ',
    sortKeys: isTrue(sortKeys),
  });
}

const indentOf = (value: Value) => textOf(value) ?? stringOf(binary('*', ' ', value));

const wordPattern = new RegExp(`[${word}]+`, 'gu');

export const textFilters = builtins({
  capitalize: ['s', byMethod('capitalize')],
  center: ['value width=80', byMethod('center')],
  e: ['s /', escapeMarkup],
  escape: ['s /', escapeMarkup],
  forceescape: ['value', (value) => escapeMarkup(stringOf(value))],
  format: ['value * **', format],
  indent: ['s width=4 first=False blank=False', indent],
  lower: ['s', byMethod('lower')],
  pprint: ['value', prettyPrint],
  replace: [
    's old new count=None',
    (value, old, by, count) =>
      byMethod('replace')(stringOf(value), stringOf(old), stringOf(by), count === null ? -1 : count),
  ],
  safe: ['value', (value) => (value instanceof Markup ? value : new Markup(stringOf(value)))],
  string: ['s /', toStr],
  striptags: ['value', (value) => stripTags(stringOf(value))],
  title: ['s', title],
  tojson: ['x ensure_ascii=False indent=None separators=None sort_keys=False', toJson],
  trim: ['value chars=None', byMethod('strip')],
  truncate: ["s length=255 killwords=False end='...' leeway=None", truncate],
  upper: ['s', byMethod('upper')],
  wordcount: ['s', (value) => stringOf(value).match(wordPattern)?.length ?? 0],
  wordwrap: ['s width=79 break_long_words=True wrapstring=None break_on_hyphens=True', wordWrap],
});
