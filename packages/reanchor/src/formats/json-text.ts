/** What JSON.parse does not say of a text: keys given twice, and where a text stops being JSON. */

// Runs of plain characters are loops of their own: each turn of a loop over alternatives takes stack.
const literal = /"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\],:]/gs;

/** The first key that is given twice in one object of a valid JSON text; undefined if there is none. */
export function duplicateKey(json: string): string | undefined {
  const open: (Set<string> | undefined)[] = [];
  let last = '';
  for (const [token] of json.matchAll(literal)) {
    if (token === '{') open.push(new Set());
    else if (token === '[') open.push(undefined);
    else if (token === '}' || token === ']') open.pop();
    else if (token === ':') {
      const keys = open.at(-1);
      const key = JSON.parse(last) as string;
      if (keys?.has(key)) return key;
      keys?.add(key);
    }
    last = token;
  }
  return undefined;
}

const space = /[ \t\n\r]*/y;
const scalar =
  /(?:"[ !#-[\]-\uffff]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[ !#-[\]-\uffff]*)*"|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)/y;

const openString = /"[ !#-[\]-\uffff]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[ !#-[\]-\uffff]*)*/y;

/** The index at which a text stops being JSON, its length where it ends too early; undefined for a JSON text. */
export function jsonErrorIndex(text: string): number | undefined {
  const closers: string[] = [];
  let at = 0;
  const skip = (pattern: RegExp) => {
    pattern.lastIndex = at;
    const match = pattern.exec(text);
    if (match) at += match[0].length;
    return match !== null;
  };
  const next = () => {
    skip(space);
    return text[at];
  };
  /** Reads a string, number or word; goes to where a broken string breaks. */
  const readScalar = (): boolean => {
    const isWhole = skip(scalar);
    if (!isWhole) skip(openString);
    return isWhole;
  };
  /** Reads a value up to the first place where a comma or closer is due; whether that went well. */
  const startOfValue = (): boolean => {
    for (;;) {
      const opener = next();
      if (opener !== '{' && opener !== '[') return readScalar();
      at++;
      const closer = opener === '{' ? '}' : ']';
      if (next() === closer) {
        at++;
        return true;
      }
      closers.push(closer);
      if (closer === '}' && !key()) return false;
    }
  };
  const key = (): boolean => {
    if (next() !== '"' || !readScalar() || next() !== ':') return false;
    at++;
    return true;
  };
  if (!startOfValue()) return at;
  for (;;) {
    const found = next();
    const closer = closers.at(-1);
    if (closer === undefined) return at === text.length ? undefined : at;
    if (found === closer) {
      at++;
      closers.pop();
    } else if (found === ',') {
      at++;
      if (!(closer === '}' ? key() && startOfValue() : startOfValue())) return at;
    } else return at;
  }
}
