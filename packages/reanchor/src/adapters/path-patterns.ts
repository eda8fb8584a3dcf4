/**
 * The regular expressions of Python that adapters have for paths of modules. They are not run as such: what is taken
 * has one meaning in Python and in JavaScript, and runs within a limit of time.
 */
import { TimeLimitError, withinTime } from '../text/index.js';

/** The characters of a pattern at most. */
const longest = 1000;

/** The time that all patterns of an adapter have together, for all modules. */
const limitMs = 1000;

/** Letters, any letter, repetition, groups without names, alternatives, ends, and sets of letters. */
const shared =
  /^(?:[\w\-: /]|\\[.\-_dw]|[.*+?|)^$]|\{\d{1,3}(?:,\d{0,3})?\}|\((?:\?:|(?!\?))|\[\^?(?:[\w.]|\\[.\-dw]|\w-\w)+\])*$/;

/**
 * What matches a path of which `pattern` is the whole, or all that follows a dot; undefined for a pattern of another
 * syntax than that which both languages have.
 */
export function pathPattern(pattern: string): RegExp | undefined {
  if (pattern.length > longest || !shared.test(pattern)) return undefined;
  try {
    return new RegExp(`^(?:.*\\.)?(?:${pattern})$`);
  } catch {
    return undefined;
  }
}

/** What `match` returns; undefined where it takes longer than patterns may. */
export function withinPatternTime<Value>(match: () => Value): Value | undefined {
  try {
    return withinTime(limitMs, match);
  } catch (error) {
    if (error instanceof TimeLimitError) return undefined;
    throw error;
  }
}
