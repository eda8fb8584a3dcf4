/** What a template may make, so that one of another's cannot take the machine; on its time, see `withinTime`. */
import { fail } from './errors.js';

/** Elements of a list, and UTF-16 units of a text. */
const maxElements = 1 << 20;
const maxCharacters = 1 << 24;
/** Elements and 64ths of characters of all values made for one chat, which are memory. */
const maxMade = 1 << 23;
/** Blocks and expressions in each other, as they are computed. A call of a macro counts as several. */
const maxLevels = 1000;
/** Blocks and expressions in each other, as they are written. */
const maxNesting = 250;
/** Lists and objects in each other: what prints or compares them goes into itself. */
const maxDepth = 64;
/** Binary digits of an integer. */
const maxBits = 1 << 17;

/** What has been made for one chat. */
export class Budget {
  #made = 0;
  #level = 0;

  /** Counts a text of so many units. Errors: LimitError when it, or all so far, is too large. */
  countText(length: number): void {
    requireText(length);
    this.#add(length / 64);
  }

  /** Counts a list of so many elements. Errors: LimitError when it, or all so far, is too large. */
  countElements(length: number): void {
    requireElements(length);
    this.#add(length);
  }

  #add(made: number): void {
    this.#made += made;
    if (this.#made > maxMade) tooMuch();
  }

  /** Goes so many levels deeper, until {@link leave}. Errors: LimitError beyond the limit. */
  enter(levels = 1): void {
    this.#level += levels;
    if (this.#level > maxLevels) endless();
  }

  leave(levels = 1): void {
    this.#level -= levels;
  }
}

const tooMuch = (): never => fail('LimitError', 'its texts and lists grow without bound');
const endless = (): never => fail('LimitError', 'it goes into itself without end');

/** Levels of a call of a macro, and of a loop of itself: about 200 calls fit, as in Python. */
export const callLevels = 3;

/**
 * What is computed. Errors: LimitError where JavaScript itself is at its end, of its stack or of the length of texts.
 */
export function bounded<T>(compute: () => T): T {
  try {
    return compute();
  } catch (error) {
    if (error instanceof RangeError) error.message.includes('call stack') ? endless() : tooMuch();
    throw error;
  }
}

/** Errors: LimitError for so many levels of a source, before a parser that goes into itself is lost. */
export function requireLevels(levels: number): void {
  if (levels > maxNesting) endless();
}

/** Errors: LimitError for a text of so many units; asked before it is made. */
export function requireText(length: number): void {
  if (!(length <= maxCharacters)) tooMuch();
}

/** Errors: LimitError for a list of so many elements; asked before it is made. */
export function requireElements(length: number): void {
  if (!(length <= maxElements)) tooMuch();
}

/** Errors: LimitError for an integer of so many binary digits; asked before it is made. */
export function requireBits(bits: number): void {
  if (!(bits <= maxBits)) fail('LimitError', 'its numbers grow without bound');
}

/** The depth below another one. Errors: LimitError for a value that is too deep, or that lies in itself. */
export function deeper(depth: number): number {
  if (depth >= maxDepth) fail('LimitError', 'its lists and objects lie in each other too deep');
  return depth + 1;
}
