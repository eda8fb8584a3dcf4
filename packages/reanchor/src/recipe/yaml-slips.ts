/** What is wrong with the form of a YAML text, in words that say what is missing, and where. */

/** What the parser has against a text. */
interface YAMLError {
  code: string;
  message: string;
  pos: readonly [begin: number, end: number];
}

/** A mistake and its place, in UTF-16 units from the start of the text. */
export interface Slip {
  message: string;
  offset: number;
}

type Describe = (text: string, error: YAMLError) => Slip | undefined;

const lineAt = (text: string, offset: number) => text.slice(offset).split(/\r?\n/, 1)[0]!;

/** A line that should be `key: value`, or an item of a list. */
const noKeyAndValue: Describe = (text, { pos: [offset] }) => {
  const line = lineAt(text, offset);
  const [, name, mark] = /^["']?([^\s:="'-]+)["']?(:(?=\S)|\s*=| :?\u00a0|:\u00a0|-)?/.exec(line) ?? [];
  const found = (message: string) => ({ message, offset });
  if (/^-\S/.test(line)) return found('a space is missing after the dash');
  if (line.includes('\u00a0')) return found('a no-break space stands where a space belongs');
  if (name === undefined) return undefined;
  if (mark === ':') return found(`a space is missing after the colon of ${name}`);
  if (mark?.endsWith('=')) return found(`a colon belongs after ${name}, not =`);
  return found(`a colon is missing after ${name}: a line is key: value`);
};

/** A line further in than its key allows, which YAML takes for a part of the value before. */
const tooFarIn: Describe = (text, { pos: [offset] }) => {
  const value = lineAt(text, offset);
  if (/:(\s|$)/.test(value)) return { message: 'a value with a colon and a space in it needs quotes', offset };
  const next = /\r?\n([ \t]*)\S/.exec(text.slice(offset));
  if (!next) return undefined;
  const message = 'this line is further in than the one before, whose key has a value already';
  return { message, offset: offset + next.index + next[0].length - 1 };
};

/** A bracket or brace that is opened and not closed before a place. */
const unclosed: Describe = (text, { message, pos: [end] }) => {
  const close = /end with a ([}\]])/.exec(message)![1]!;
  const open = openBefore(text, end, close === '}' ? '{' : '[');
  const words = `Flow ${close === '}' ? 'map' : 'sequence'} must end with a ${close}`;
  if (open === undefined || lineAt(text, open).length === text.length) return { message: words, offset: open ?? end };
  return { message: `${words}: the ${text[open]} that opens here is not closed`, offset: open };
};

/** The innermost bracket of a kind that is open before a place; quotes and comments hide what is in them. */
function openBefore(text: string, end: number, bracket: string): number | undefined {
  const open: number[] = [];
  const tokens = /"(?:\\.|[^"\\])*"|(?<=[\s,[{:])'(?:''|[^'])*'|(?<=\s)#.*|[{}[\]]/g;
  for (const { 0: token, index } of text.slice(0, end).matchAll(tokens)) {
    if (token === '{' || token === '[') open.push(index);
    else if (token === '}' || token === ']') open.pop();
  }
  return open.findLast((at) => text[at] === bracket);
}

/** A quote that is opened and not closed: the last one, since it takes all that follows. */
const unquoted: Describe = (text, { message }) => {
  const quote = message.includes('"') ? '"' : "'";
  const quoted = new RegExp(
    `(?<=^|[\\s,[{:])${quote}(?:\\\\.|${quote === "'" ? "''|" : ''}[^${quote}\\\\])*(${quote}|$)`,
    'g',
  );
  const last = [...text.matchAll(quoted)].findLast(([, end]) => end === '');
  return last && { message: `the closing ${quote} is missing of the one that opens here`, offset: last.index };
};

const put =
  (words: string): Describe =>
  (_, { message, pos: [offset] }) => ({ message: `${message}: ${words}`, offset });
const instead =
  (message: string): Describe =>
  (_, { pos: [offset] }) => ({ message, offset });

/** What the parser's words are replaced by, by the beginning of its code and message. */
const descriptions: [pattern: RegExp, describe: Describe][] = [
  [/^MULTILINE_IMPLICIT_KEY/, noKeyAndValue],
  [/^MISSING_CHAR Implicit map keys/, noKeyAndValue],
  [/^BLOCK_AS_IMPLICIT_KEY Nested/, tooFarIn],
  [/^BLOCK_AS_IMPLICIT_KEY/, instead('a list begins under a key that has a value, or keys, already')],
  [
    /^BAD_INDENT All/,
    instead('this line is further out than the keys before it, and further in than those above: align it'),
  ],
  [/end with a [}\]]/, unclosed],
  [/^MISSING_CHAR Missing closing/, unquoted],
  [/^TAB_AS_INDENT/, put('use spaces')],
  [/^BLOCK_IN_FLOW/, instead('a comma is missing between keys in { }')],
  [/^UNEXPECTED_TOKEN Unexpected , /, instead('a comma too many')],
  [/^UNEXPECTED_TOKEN .*flow-(map|seq)-end/, instead('a closing bracket too many')],
  [/^UNEXPECTED_TOKEN .*at node end/, instead('text stands behind a value that has ended: put all of it in quotes')],
  [/^BAD_SCALAR_START/, put('put the value in quotes')],
  [/^BAD_DQ_ESCAPE/, put('write \\\\ for a backslash, or use single quotes')],
  [/^TAG_RESOLVE_FAILED/, put('a value that begins with ! needs quotes')],
  [/^BAD_ALIAS/, put('a value that begins with & or * needs quotes')],
  [/^MULTIPLE_DOCS/, instead('a second document begins: a recipe is one, without a line ---')],
  [/^BAD_DIRECTIVE/, put('a key that begins with % needs quotes')],
];

/** What is wrong, as a person would say it; the parser's own words where there are none. */
export function slipOf(text: string, error: YAMLError): Slip {
  if (error.code === 'DUPLICATE_KEY') {
    const [key] = /^[^\s:]*/.exec(text.slice(error.pos[0]))!;
    return { message: `${key}: this key is given twice`, offset: error.pos[0] };
  }
  const [, describe] = descriptions.find(([pattern]) => pattern.test(`${error.code} ${error.message}`)) ?? [];
  return describe?.(text, error) ?? { message: error.message, offset: error.pos[0] };
}
