/** Lines of a width. Source: Python's `textwrap`, with tabs and white space left as they are. */
import { fail } from '../errors.js';
import { lengthOf, slicePoints, word } from './characters.js';
import { stripSpaces } from './text-search.js';

export interface WrapOptions {
  width: number;
  breaksLongWords: boolean;
  breaksOnHyphens: boolean;
}

const ws = String.raw`[\t\n\v\f\r ]`;
const notWs = String.raw`[^\t\n\v\f\r ]`;
const punctuated = `[${word}!"'&.,?]`;
const letter = String.raw`(?:(?!\p{Nd})[${word}])`;
/** Where a text may be broken: at white space, behind hyphens in words, around dashes. */
const chunk = new RegExp(
  `(${ws}+|(?<=${punctuated})-{2,}(?=[${word}])|${notWs}+?(?:` +
    `-(?:(?<=${letter}{2}-)|(?<=${letter}-${letter}-))(?=${letter}-?${letter})` +
    `|(?=${ws}|$)|(?<=${punctuated})(?=-{2,}[${word}])))`,
  'u',
);
const simpleChunk = new RegExp(`(${ws}+)`, 'u');

const isBlank = (text: string) => stripSpaces(text, 'both') === '';

/** A paragraph as lines of a width. Errors: ValueError for a width below 1. */
export function wrapText(text: string, options: WrapOptions): string[] {
  const { width } = options;
  if (width <= 0) fail('ValueError', `invalid width ${width} (must be > 0)`);
  const chunks = text.split(options.breaksOnHyphens ? chunk : simpleChunk).filter((part) => part !== '');
  chunks.reverse();
  const lines: string[] = [];
  while (chunks.length > 0) {
    if (lines.length > 0 && isBlank(chunks.at(-1)!)) chunks.pop();
    const line = takeLine(chunks, options);
    if (line.length > 0 && isBlank(line.at(-1)!)) line.pop();
    if (line.length > 0) lines.push(line.join(''));
  }
  return lines;
}

/** The chunks that fit into a line, taken from the end of a stack of them. */
function takeLine(chunks: string[], { width, breaksLongWords, breaksOnHyphens }: WrapOptions): string[] {
  const line: string[] = [];
  let length = 0;
  while (chunks.length > 0 && length + lengthOf(chunks.at(-1)!) <= width) {
    length += lengthOf(chunks.at(-1)!);
    line.push(chunks.pop()!);
  }
  const next = chunks.at(-1);
  if (next === undefined || lengthOf(next) <= width) return line;
  if (breaksLongWords) {
    const end = breakPlace(next, width - length, breaksOnHyphens);
    line.push(slicePoints(next, 0, end));
    chunks[chunks.length - 1] = slicePoints(next, end, lengthOf(next));
  } else if (line.length === 0) line.push(chunks.pop()!);
  return line;
}

/** Where a word that is longer than a line is broken: behind its last hyphen that fits, else where the line ends. */
function breakPlace(long: string, room: number, breaksOnHyphens: boolean): number {
  if (!breaksOnHyphens) return room;
  const fitting = slicePoints(long, 0, room);
  const hyphen = fitting.lastIndexOf('-');
  const hasOthers = /[^-]/.test(fitting.slice(0, Math.max(0, hyphen)));
  return hyphen > 0 && hasOthers ? lengthOf(fitting.slice(0, hyphen)) + 1 : room;
}
