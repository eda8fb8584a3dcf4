/** Methods of str that look for texts, and cut at them. */
import { fail } from '../errors.js';
import { requireElements, requireText } from '../limits.js';
import { lengthOf, lineBreak, space } from './characters.js';
import { iterate, toIndex, toText } from './convert.js';
import { searchRange } from './slices.js';
import { Tuple, textOf, typeName, type Value } from './values.js';

/** What a method does with a text and the values of its parameters. */
export type TextMethod = (text: string, ...values: Value[]) => Value;
export type TextMethods = Readonly<Record<string, readonly [parameters: string, run: TextMethod]>>;

/** The place of a part within bounds, counted in code points; -1 where it is not. */
function find(text: string, part: Value, start: Value, stop: Value, isLast: boolean): number {
  const wanted = toText(part, 'must');
  const range = searchRange(text, start, stop);
  if (!range) return -1;
  const inside = text.slice(0, range.to);
  const at = isLast ? inside.lastIndexOf(wanted) : inside.indexOf(wanted, range.from);
  return at < range.from ? -1 : lengthOf(text.slice(0, at));
}

const found = (place: number) => (place === -1 ? fail('ValueError', 'substring not found') : place);

function count(text: string, part: Value, start: Value, stop: Value): number {
  const wanted = toText(part, 'must');
  const range = searchRange(text, start, stop);
  if (!range) return 0;
  const inside = text.slice(range.from, range.to);
  return wanted === '' ? lengthOf(inside) + 1 : inside.split(wanted).length - 1;
}

/** Whether a text begins, or ends, with a part, or one of a tuple of them. */
function hasAffix(method: 'startsWith' | 'endsWith', text: string, parts: Value, start: Value, stop: Value): boolean {
  const name = method.toLowerCase();
  const isOne = textOf(parts) !== undefined;
  if (!isOne && !(parts instanceof Tuple)) {
    fail('TypeError', `${name} first arg must be str or a tuple of str, not ${typeName(parts)}`);
  }
  const affixes = parts instanceof Tuple ? parts.items : [parts];
  const range = searchRange(text, start, stop);
  const inside = range && text.slice(range.from, range.to);
  return affixes.some((affix) => {
    const wanted = toText(affix, `tuple for ${name} must only contain str,`);
    return inside?.[method](wanted) ?? false;
  });
}

/** Pieces between separators, at most so many cuts from the left or the right; all below 0. */
export function split(text: string, separator: Value, most: number, isRight: boolean): string[] {
  if (separator === null) return splitAtSpaces(text, most, isRight);
  const mark = toText(separator, 'must');
  if (mark === '') fail('ValueError', 'empty separator');
  const all = isRight ? splitFromRight(text, mark) : text.split(mark);
  requireElements(all.length);
  if (most < 0 || all.length <= most + 1) return all;
  return isRight
    ? [all.slice(0, all.length - most).join(mark), ...all.slice(all.length - most)]
    : [...all.slice(0, most), all.slice(most).join(mark)];
}

/** Marks may overlap: from the right others of them count. */
function splitFromRight(text: string, mark: string): string[] {
  const pieces: string[] = [];
  let end = text.length;
  while (end >= mark.length) {
    const at = text.lastIndexOf(mark, end - mark.length);
    if (at === -1) break;
    pieces.push(text.slice(at + mark.length, end));
    end = at;
  }
  return [...pieces, text.slice(0, end)].reverse();
}

const word = new RegExp(`[^${space}]+`, 'g');

function splitAtSpaces(text: string, most: number, isRight: boolean): string[] {
  const words = [...text.matchAll(word)];
  requireElements(words.length);
  if (most < 0 || words.length <= most) return words.map(([found]) => found);
  // White space around what is not cut stays there.
  if (isRight) {
    const last = words.at(-most - 1)!;
    const head = text.slice(0, last.index + last[0].length);
    return [head, ...words.slice(words.length - most).map(([found]) => found)];
  }
  return [...words.slice(0, most).map(([found]) => found), text.slice(words[most]!.index)];
}

/** A text without white space at its start, its end or both. */
export function stripSpaces(text: string, where: 'start' | 'end' | 'both'): string {
  return strip(text, (character) => spacePoint.test(character), where);
}
const spacePoint = new RegExp(`^[${space}]$`);

/** A text without the characters at its edges that are to go. */
function strip(text: string, goes: (point: string) => boolean, where: 'start' | 'end' | 'both'): string {
  let [from, to] = [0, text.length];
  while (where !== 'end' && from < to) {
    const point = String.fromCodePoint(text.codePointAt(from)!);
    if (!goes(point)) break;
    from += point.length;
  }
  while (where !== 'start' && to > from) {
    const pair = text.codePointAt(to - 2) ?? 0;
    const point = pair > 0xffff ? String.fromCodePoint(pair) : text[to - 1]!;
    if (!goes(point)) break;
    to -= point.length;
  }
  return text.slice(from, to);
}

/** The lines of a text, with what ends them or without; a line break at the end begins no line. */
export function splitLines(text: string, keepsEnds: boolean): string[] {
  const lines: string[] = [];
  let at = 0;
  for (const { 0: end, index } of text.matchAll(new RegExp(lineBreak, 'g'))) {
    lines.push(text.slice(at, index + (keepsEnds ? end.length : 0)));
    at = index + end.length;
  }
  if (at < text.length) lines.push(text.slice(at));
  requireElements(lines.length);
  return lines;
}

/** A text with so many of its parts replaced, all below 0. Errors: LimitError. */
function replace(text: string, old: string, by: string, most: number): string {
  const pieces = old === '' ? ['', ...text, ''] : text.split(old);
  const cuts = most < 0 ? pieces.length - 1 : Math.min(most, pieces.length - 1);
  requireText(text.length + cuts * by.length);
  return (
    pieces.slice(0, cuts + 1).join(by) +
    pieces
      .slice(cuts + 1)
      .map((piece) => old + piece)
      .join('')
  );
}

function partition(text: string, separator: Value, isRight: boolean): Value {
  const mark = toText(separator, 'must');
  if (mark === '') fail('ValueError', 'empty separator');
  const at = isRight ? text.lastIndexOf(mark) : text.indexOf(mark);
  if (at === -1) return new Tuple(isRight ? ['', '', text] : [text, '', '']);
  return new Tuple([text.slice(0, at), mark, text.slice(at + mark.length)]);
}

/** Texts with this one between. Errors: TypeError for anything else between them. */
export function joinTexts(text: string, values: Value, toPart: (value: Value) => string | undefined): string {
  const parts: string[] = [];
  let length = 0;
  for (const value of iterate(values)) {
    const part = toPart(value);
    if (part === undefined) {
      return fail('TypeError', `sequence item ${parts.length}: expected str instance, ${typeName(value)} found`);
    }
    length += part.length + text.length;
    requireText(length);
    parts.push(part);
  }
  return parts.join(text);
}

const stripping =
  (where: 'start' | 'end' | 'both') =>
  (text: string, chars: Value = null): string => {
    if (chars === null) return stripSpaces(text, where);
    const set = new Set(toText(chars, 'strip arg must be None or str;'));
    return strip(text, (point) => set.has(point), where);
  };

export const searchMethods: TextMethods = {
  count: ['part start=None stop=None /', count],
  find: ['part start=None stop=None /', (text, part, a, b) => find(text, part, a, b, false)],
  rfind: ['part start=None stop=None /', (text, part, a, b) => find(text, part, a, b, true)],
  index: ['part start=None stop=None /', (text, part, a, b) => found(find(text, part, a, b, false))],
  rindex: ['part start=None stop=None /', (text, part, a, b) => found(find(text, part, a, b, true))],
  startswith: ['prefix start=None stop=None /', (text, part, a, b) => hasAffix('startsWith', text, part, a, b)],
  endswith: ['suffix start=None stop=None /', (text, part, a, b) => hasAffix('endsWith', text, part, a, b)],
  split: ['sep=None maxsplit=-1', (text, mark, most) => split(text, mark, toIndex(most), false)],
  rsplit: ['sep=None maxsplit=-1', (text, mark, most) => split(text, mark, toIndex(most), true)],
  splitlines: ['keepends=False', (text, keepends) => splitLines(text, toIndex(keepends) !== 0)],
  partition: ['sep /', (text, mark) => partition(text, mark, false)],
  rpartition: ['sep /', (text, mark) => partition(text, mark, true)],
  strip: ['chars=None /', stripping('both')],
  lstrip: ['chars=None /', stripping('start')],
  rstrip: ['chars=None /', stripping('end')],
  join: ['iterable /', (text, values) => joinTexts(text, values, textOf)],
  replace: [
    'old new count=-1 /',
    (text, old, by, most) =>
      replace(text, toText(old, 'replace() argument 1'), toText(by, 'replace() argument 2'), toIndex(most)),
  ],
};
