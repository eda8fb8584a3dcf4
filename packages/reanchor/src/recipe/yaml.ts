/** YAML with positions: the only file that knows the package `yaml`. */
import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  Lexer,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
  visit,
  type YAMLError,
} from 'yaml';
import { type Slip, slipOf } from './yaml-slips.js';

/** A place in a text; both numbers count from 1. */
interface Position {
  line: number;
  column: number;
}

/** A YAML text as plain values, with what is wrong with its form and the place of each key and value. */
export interface YamlText {
  value: unknown;
  /** Syntax errors, duplicate keys, unknown tags. `value` is undefined when there are any. */
  problems: { message: string; position: Position | undefined }[];
  /**
   * The place of the value at a path, or of the key itself. Of a path that is not in the text: the place of its
   * nearest parent that is; undefined when that is the text as a whole.
   */
  locate(path: readonly PropertyKey[], what: 'key' | 'value'): Position | undefined;
}

export interface YamlOptions {
  /** The most characters (UTF-16 units) that are read. Default: 65,536; a recipe has a hundredth of it. */
  mostCharacters?: number | undefined;
  /** The rules for plain values; by those of 1.1, which Python's readers keep to, `no` is false. Default: 1.2. */
  version?: '1.1' | '1.2' | undefined;
}

/** Sections and lists that lie in each other; what reads them goes into itself, and must not run out of stack. */
const maxDepth = 100;

/** Plain values of a YAML text; it never throws, mistakes are in `problems`. */
export function parseYaml(text: string, { mostCharacters = 1 << 16, version = '1.2' }: YamlOptions = {}): YamlText {
  const tooMuch = excess(text, mostCharacters);
  if (tooMuch !== undefined) {
    return { value: undefined, problems: [{ message: tooMuch, position: undefined }], locate: () => undefined };
  }
  const lines = new LineCounter();
  let doc: Document;
  try {
    // A quieter level would drop all documents but the first in silence.
    doc = parseDocument(text, { version, lineCounter: lines, prettyErrors: false, logLevel: 'error' });
  } catch (error) {
    // What goes deep in a way that no bound sees.
    const message = `not YAML that can be read (${(error as Error).message})`;
    return { value: undefined, problems: [{ message, position: undefined }], locate: () => undefined };
  }
  const place = (offset: number): Position => {
    const { line, col } = lines.linePos(offset);
    return { line, column: col };
  };
  const errors = firstOfKind([...doc.errors, ...doc.warnings]);
  const slips = errors.length > 0 ? errors.map((error) => slipOf(text, error)) : valueSlips(doc);
  const problems: YamlText['problems'] = slips.map(({ message, offset }) => ({ message, position: place(offset) }));
  let value: unknown;
  if (problems.length === 0) {
    try {
      value = doc.toJS();
    } catch (error) {
      // An alias that expands without bound.
      problems.push({ message: (error as Error).message, position: undefined });
    }
  }
  return {
    value,
    problems,
    locate(path, what) {
      const offset = offsetOf(doc, path, what);
      return offset === undefined ? undefined : place(offset);
    },
  };
}

/** Keys that are given twice, each, and of all else the first: what follows from it is not worth telling. */
function firstOfKind(errors: readonly YAMLError[]): YAMLError[] {
  const first = errors.filter(({ code }) => code !== 'DUPLICATE_KEY').sort((a, b) => a.pos[0] - b.pos[0])[0];
  return errors.filter((error) => error === first || error.code === 'DUPLICATE_KEY');
}

/** What is YAML, and cannot have been meant. */
function valueSlips(doc: Document): Slip[] {
  const slips: Slip[] = [];
  visit(doc, {
    Alias(_, alias) {
      if (alias.resolve(doc) !== undefined) return;
      const message = `*${alias.source} stands for nothing: a value that begins with * needs quotes`;
      slips.push({ message, offset: alias.range?.[0] ?? 0 });
    },
    Pair(_, { key, value }) {
      const name = isScalar(key) && (value === null || (isScalar(value) && value.value === null)) ? key : undefined;
      const [, before] = /^(\w+):\S/.exec(String(name?.value)) ?? [];
      if (before === undefined) return;
      slips.push({ message: `a space is missing after the colon of ${before}`, offset: name?.range?.[0] ?? 0 });
    },
  });
  return slips;
}

/** What a text has too much of to be read, if anything. */
function excess(text: string, most: number): string | undefined {
  if (text.length > most) return `${text.length} characters, of which ${most} are read: is it another file?`;
  return depthBound(text) > maxDepth ? `sections and lists lie in each other more than ${maxDepth} deep` : undefined;
}

/**
 * Not less than the depth of a text's deepest value: brackets that are open and, outside of them, the indentation of a
 * line; and the marks `-`, `?` and `:` since the line, or inside of brackets the item, began.
 */
function depthBound(text: string): number {
  let [deepest, brackets, indentation, marks, isStart, isScalar] = [0, 0, 0, 0, true, false];
  for (const token of new Lexer().lex(text)) {
    if (isScalar) isScalar = false;
    else if (token === '\u001f') isScalar = true;
    else if (/^[{}[\],]$/.test(token)) {
      marks = 0;
      if (token === '{' || token === '[') brackets++;
      else if (token !== ',') brackets = Math.max(0, brackets - 1);
    } else if (/^\r?\n$/.test(token) && brackets === 0) {
      [indentation, marks, isStart] = [0, 0, true];
      continue;
    } else if (isStart && /^ +$/.test(token)) indentation = token.length;
    else if (/^[-?:]$/.test(token)) marks++;
    isStart = false;
    deepest = Math.max(deepest, brackets + indentation + marks);
  }
  return deepest;
}

function offsetOf(doc: Document, path: readonly PropertyKey[], what: 'key' | 'value'): number | undefined {
  let node: unknown = doc.contents;
  let offset: number | undefined;
  for (const [depth, key] of path.entries()) {
    if (isAlias(node)) node = node.resolve(doc);
    if (isMap(node)) {
      const pair = node.items.find((item: Pair) => (isScalar(item.key) ? String(item.key.value) : '') === String(key));
      if (pair === undefined) return offset;
      const isLast = depth === path.length - 1;
      const at = (isLast && what === 'key' ? pair.key : (pair.value ?? pair.key)) as Node | null;
      // An empty value has no place of its own.
      const isEmpty = isScalar(at) && at.value === null && at.range?.[0] === at.range?.[1];
      offset = (isEmpty ? (pair.key as Node) : at)?.range?.[0] ?? offset;
      node = pair.value;
    } else if (isSeq(node)) {
      const item = node.items[Number(key)] as Node | undefined;
      if (item === undefined) return offset;
      offset = item.range?.[0] ?? offset;
      node = item;
    } else {
      return offset;
    }
  }
  return offset;
}
