/** Patterns of shell wildcards over the paths of a data set, read as Python's fsspec and `datasets` read them. */
import { shown, UserError } from '../errors.js';

/** `*` inside of a name, and `**` among the names of a path: any number of characters, or of names. */
const anyNumber = Symbol('any number');
type Pattern<Item> = readonly (((item: Item) => boolean) | typeof anyNumber)[];

const longestPattern = 4096;

/** A path, relative to the folder of the data set and with `/` in between, in the form in which patterns look at it. */
export interface GlobPath {
  path: string;
  parts: readonly string[];
  hidden: number;
  special: number;
}

export function globPath(path: string): GlobPath {
  const parts = partsOf(path);
  return { path, parts, hidden: hiddenParts(parts), special: specialParts(parts) };
}

/**
 * Whether a path is one of a pattern's: `*` stands for any characters of a name, `?` for one, `[a-z]` and `[!a-z]` for
 * one of a set, `**` for any folders. What is hidden (a dot in front) or special (`__`) has to be so in the pattern
 * too. It takes time by the product of both lengths, whatever the pattern. Errors: UserError for `**` inside of a name,
 * and for a pattern that is longer than paths are.
 */
export function globMatcher(pattern: string): (path: GlobPath) => boolean {
  if (pattern.length > longestPattern) throw new UserError(`a pattern of ${pattern.length} characters: is it a path?`);
  const names = partsOf(pattern);
  if (names.some((name) => name.includes('**') && name !== '**')) {
    throw new UserError(`the pattern ${shown(pattern)} has ** inside of a name: ** stands between slashes`);
  }
  const segments = names.map((name) => (name === '**' ? anyNumber : nameMatcher(name)));
  // `a/**` is what lies below a, and not a itself.
  if (segments.at(-1) === anyNumber) segments.push(() => true);
  const { hidden, special } = globPath(pattern);
  return (path) => path.hidden === hidden && path.special === special && matches(segments, path.parts);
}

/** Whether a pattern has wildcards, so that it may well match nothing. */
export const hasWildcard = (pattern: string) => /[*?[]/.test(pattern);

const partsOf = (path: string) => path.split('/').filter((part, i) => part !== '.' && (part !== '' || i === 0));
const hiddenParts = (parts: readonly string[]) => parts.filter((part) => /^\.(?!\.*$)/.test(part)).length;
const specialParts = (parts: readonly string[]) => parts.slice(0, -1).filter((part) => part.startsWith('__')).length;

function nameMatcher(name: string): (part: string) => boolean {
  const pattern = characters(name);
  // Most names lack some text of the pattern, which is soon seen.
  const texts = name.replace(/\[!?\]?[^\]]*\]/gu, '*').split(/[*?[]+/);
  return (part) => texts.every((text) => part.includes(text)) && matches(pattern, [...part]);
}

function characters(name: string): Pattern<string> {
  const given = [...name];
  const pattern: Pattern<string>[number][] = [];
  for (let i = 0; i < given.length; i++) {
    const one = given[i]!;
    // A bracket that is closed at once belongs to the set.
    const first = i + (given[i + 1] === '!' ? 2 : 1);
    const end = one === '[' ? given.indexOf(']', first + 1) : -1;
    if (one === '*') pattern.push(anyNumber);
    else if (one === '?') pattern.push(() => true);
    else if (end !== -1) {
      const isIn = setOf(given.slice(first, end));
      const isNegated = given[i + 1] === '!';
      pattern.push((character) => isIn(character) !== isNegated);
      i = end;
    } else pattern.push((character) => character === one);
  }
  return pattern;
}

/** Whether a character is one of a set: characters, and ranges such as `0-9`. */
function setOf(set: readonly string[]): (character: string) => boolean {
  const ranges: [string, string][] = [];
  for (let i = 0; i < set.length; i++) {
    const isRange = set[i + 1] === '-' && i + 2 < set.length;
    ranges.push([set[i]!, set[isRange ? i + 2 : i]!]);
    if (isRange) i += 2;
  }
  const code = (character: string) => character.codePointAt(0)!;
  return (character) => ranges.some(([from, to]) => code(from) <= code(character) && code(character) <= code(to));
}

/** Whether all items are what a pattern asks for; it goes back to the last "any number" only. */
function matches<Item>(pattern: Pattern<Item>, items: readonly Item[]): boolean {
  let [at, place] = [0, 0];
  let back: { at: number; place: number } | undefined;
  while (place < items.length) {
    const one = pattern[at];
    if (one === anyNumber) back = { at: ++at, place };
    else if (one?.(items[place]!)) [at, place] = [at + 1, place + 1];
    else if (back) [at, place] = [back.at, ++back.place];
    else return false;
  }
  return pattern.slice(at).every((one) => one === anyNumber);
}
