/** Values on as many lines as a width of 80 asks for: Python's `pprint.pformat`. */
import { fail } from '../errors.js';
import { deeper, requireText } from '../limits.js';
import { compareTexts, lengthOf, space } from './characters.js';
import { isOrdered } from './compare.js';
import { repeatText } from './repeat.js';
import { quote, reprOf } from './repr.js';
import { splitLines } from './text-search.js';
import { Group } from './things.js';
import { Dict, elementsOf, Tuple, typeName, type Value } from './values.js';

const lineWidth = 80;

/** A value for a reader. Errors: those of `repr`. */
export function prettyPrint(value: Value): string {
  return format(value, { indent: 0, allowance: 0, level: 0 });
}

/** Where a value stands: the column it begins at, what follows it on its last line, values around it. */
interface Layout {
  indent: number;
  allowance: number;
  level: number;
}

function format(value: Value, layout: Layout): string {
  const whole = reprSorted(value, layout.level);
  if (lengthOf(whole) <= lineWidth - layout.indent - layout.allowance) return whole;
  const inner = { ...layout, level: layout.level + 1 };
  if (typeof value === 'string') return formatText(value, inner);
  if (value instanceof Dict) return formatDict(value, inner);
  if (Array.isArray(value)) return `[${formatElements(value, { ...inner, allowance: layout.allowance + 1 })}]`;
  if (value instanceof Tuple && !(value instanceof Group)) {
    const end = value.items.length === 1 ? ',)' : ')';
    return `(${formatElements(value.items, { ...inner, allowance: layout.allowance + end.length })}${end}`;
  }
  return whole;
}

const newLine = (indent: number) => `,\n${repeatText(' ', indent)}`;

function formatElements(values: readonly Value[], { indent, allowance, level }: Layout): string {
  const shown = values.map((value, i) =>
    format(value, { indent: indent + 1, allowance: i === values.length - 1 ? allowance : 1, level }),
  );
  return joined(shown, newLine(indent + 1));
}

function formatDict(dict: Dict, { indent, allowance, level }: Layout): string {
  const entries = sortedEntries(dict);
  const shown = entries.map(([key, value], i) => {
    const name = reprSorted(key, level);
    const last = i === entries.length - 1;
    const layout = { indent: indent + 1 + lengthOf(name) + 2, allowance: last ? allowance + 1 : 1, level };
    return `${name}: ${format(value, layout)}`;
  });
  return `{${joined(shown, newLine(indent + 1))}}`;
}

/** Keys in their order; those that have none by the names of their types. */
function sortedEntries(dict: Dict): [Value, Value][] {
  const isBefore = (a: Value, b: Value): boolean => {
    try {
      return isOrdered('<', a, b);
    } catch {
      return compareTexts(typeName(a), typeName(b)) < 0;
    }
  };
  return [...dict.entries()].sort(([a], [b]) => (isBefore(a, b) ? -1 : isBefore(b, a) ? 1 : 0));
}

/** The repr with the keys of mappings in their order. */
function reprSorted(value: Value, depth: number): string {
  const below = deeper(depth);
  // A group of `groupby` prints itself.
  const elements = value instanceof Group ? undefined : elementsOf(value);
  const all = (values: readonly Value[]) =>
    joined(
      values.map((one) => reprSorted(one, below)),
      ', ',
    );
  if (elements) {
    if (Array.isArray(value)) return `[${all(elements)}]`;
    return elements.length === 1 ? `(${all(elements)},)` : `(${all(elements)})`;
  }
  if (!(value instanceof Dict)) return reprOf(value, depth);
  const entries = sortedEntries(value).map(([key, one]) => `${reprSorted(key, below)}: ${reprSorted(one, below)}`);
  return `{${joined(entries, ', ')}}`;
}

/** A text as literals of Python, one a line, which are cut behind white space. */
function formatText(text: string, { indent: outer, allowance: behind, level }: Layout): string {
  const isOutermost = level === 1;
  const [indent, allowance] = isOutermost ? [outer + 1, behind + 1] : [outer, behind];
  const width = lineWidth - indent;
  const lines = splitLines(text, true);
  const literals = lines.flatMap((line, i) => {
    const isLast = i === lines.length - 1;
    if (lengthOf(quote(line)) <= (isLast ? width - allowance : width)) return [quote(line)];
    return cutLine(line, width, isLast ? allowance : 0);
  });
  if (literals.length === 1) return literals[0]!;
  const shown = joined(literals, `\n${repeatText(' ', indent)}`);
  return isOutermost ? `(${shown})` : shown;
}

const words = new RegExp(`[^${space}]+[${space}]*|[${space}]+`, 'g');

function cutLine(line: string, width: number, allowance: number): string[] {
  const parts = line.match(words) ?? fail('RuntimeError', 'a line without text');
  const literals: string[] = [];
  let current = '';
  for (const [i, part] of parts.entries()) {
    const room = i === parts.length - 1 ? width - allowance : width;
    if (lengthOf(quote(current + part)) > room) {
      if (current !== '') literals.push(quote(current));
      current = part;
    } else current += part;
  }
  return current === '' ? literals : [...literals, quote(current)];
}

function joined(texts: readonly string[], between: string): string {
  requireText(texts.reduce((sum, text) => sum + text.length + between.length, 0));
  return texts.join(between);
}
