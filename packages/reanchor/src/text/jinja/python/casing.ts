/** Upper, lower and title case of whole texts as Python has them. */
import { isLower, isUpper } from './characters.js';

/** A text whose words begin with a capital: `str.title`. A word is a run of letters with a case. */
export function toTitle(text: string): string {
  let wasCased = false;
  return mapPoints(text, (point, at) => {
    const mapped = wasCased ? lowerAt(text, point, at) : titleOf(point);
    wasCased = /\p{Cased}/u.test(point);
    return mapped;
  });
}

/** A text that begins with a capital, all others lower: `str.capitalize`. */
export function capitalize(text: string): string {
  const [first = ''] = text;
  return titleOf(first) + text.toLowerCase().slice(first.toLowerCase().length);
}

export function swapCase(text: string): string {
  return mapPoints(text, (point, at) => {
    if (isUpper(point)) return lowerAt(text, point, at);
    return isLower(point) ? point.toUpperCase() : point;
  });
}

/** What is equal for texts that differ by case only: `str.casefold`. */
export function caseFold(text: string): string {
  return mapPoints(text, (point) => {
    if (point === '\u1e9e') return 'ss';
    // Dotless i is a letter of its own; Cherokee folds to capitals.
    if (point === '\u0131') return point;
    if (/[\u13a0-\u13fd\uab70-\uabbf]/.test(point)) return point.toUpperCase();
    return point.toUpperCase().toLowerCase();
  });
}

/** Whether words begin with capitals and have no others: `str.istitle`. */
export function isTitle(text: string): boolean {
  let wasCased = false;
  let hasWords = false;
  for (const point of text) {
    const isCapital = /[\p{Uppercase}\p{Lt}]/u.test(point);
    const isSmall = isLower(point);
    if ((isCapital && wasCased) || (isSmall && !wasCased)) return false;
    wasCased = isCapital || isSmall;
    hasWords ||= wasCased;
  }
  return hasWords;
}

function mapPoints(text: string, map: (point: string, at: number) => string): string {
  let mapped = '';
  let at = 0;
  for (const point of text) {
    mapped += map(point, at);
    at += point.length;
  }
  return mapped;
}

/** A code point in lower case, at its place: a sigma at the end of a word is another one. */
function lowerAt(text: string, point: string, at: number): string {
  if (point !== '\u03a3') return point.toLowerCase();
  const isAfterLetter = /\p{Cased}\p{Case_Ignorable}*$/u.test(text.slice(Math.max(0, at - 100), at));
  const isBeforeLetter = /^\p{Case_Ignorable}*\p{Cased}/u.test(text.slice(at + 1, at + 101));
  return isAfterLetter && !isBeforeLetter ? '\u03c2' : '\u03c3';
}

/** Letters made of two, of which a capital has only the first one large. */
const digraphs = 'ǅǄǅǆ ǈǇǈǉ ǋǊǋǌ ǲǱǲǳ'.split(' ');

/** The capital of a code point at the start of a word, where that is another one than in a word of capitals. */
function titleOf(point: string): string {
  const digraph = digraphs.find((letters) => point !== '' && letters.includes(point));
  if (digraph !== undefined) return digraph[0]!;
  if (/[\u10d0-\u10ff]/.test(point)) return point;
  if (point === '\u0149') return point.toUpperCase();
  const [first = '', ...rest] = point.toUpperCase();
  if (rest.at(-1) !== '\u0399') return first + rest.join('').toLowerCase();
  // A Greek iota that is written below the letter stays there.
  const below = [first, ...rest.slice(0, -1), '\u0345'].join('');
  return rest.length === 1 ? below.normalize('NFC') : below;
}
