/** YAML 1.2 with positions: the only file that knows the package `yaml`. */
import { type Document, isAlias, isMap, isScalar, isSeq, LineCounter, type Node, type Pair, parseDocument } from 'yaml';

/** A place in a text; both numbers count from 1. */
export interface Position {
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

/** Plain values of a YAML text; it never throws, mistakes are in `problems`. */
export function parseYaml(text: string): YamlText {
  const lines = new LineCounter();
  const doc = parseDocument(text, { lineCounter: lines, prettyErrors: false, logLevel: 'silent' });
  const place = (offset: number): Position => {
    const { line, col } = lines.linePos(offset);
    return { line, column: col };
  };
  const problems: YamlText['problems'] = [...doc.errors, ...doc.warnings].map((error) => ({
    message:
      error.code === 'DUPLICATE_KEY'
        ? `${/^[^\s:]*/.exec(text.slice(error.pos[0]))![0]}: this key is given twice`
        : error.message,
    position: place(error.pos[0]),
  }));
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
