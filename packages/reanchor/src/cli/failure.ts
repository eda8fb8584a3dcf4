/** What the command says, and which code it ends with, when something goes wrong. */
import { CommanderError } from 'commander';
import { isOutOfMemory, type Naming, UsageError, UserError } from '../errors.js';
import type { Terminal } from './terminal.js';

/** 0 for help and version, 2 for wrong usage, 1 for everything else. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) {
    return ['commander.helpDisplayed', 'commander.version'].includes(error.code) ? 0 : 2;
  }
  return error instanceof UsageError ? 2 : 1;
}

/** Flags of options that go by another name in the library. */
const otherFlags: Readonly<Record<string, string>> = { baseUrl: '--judge-url', isDiscrete: '--discrete' };

/** The flag of an option of the library: `--max-length` of `maxLength`. The key of a recipe stays as it is. */
export const flagOf: Naming = (option) =>
  otherFlags[option] ??
  (option.includes('.') ? option : `--${option.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`);

/**
 * Prints an error, with flags for options: of what the user or the machine can mend, the message (REANCHOR_DEBUG=1: the
 * stack too); of anything else, the message, that it is a bug, and the stack.
 */
export function reportError(
  error: unknown,
  terminal: Terminal,
  env: Readonly<Record<string, string | undefined>>,
): void {
  const { colors } = terminal;
  terminal.endStatus();
  const { message, stack = '' } = error instanceof Error ? error : new Error(String(error));
  const told = error instanceof UserError ? error.told(flagOf) : message;
  terminal.note(`${colors.red('error:')} ${told}${adviceFor(error)}`);
  if (isMendable(error)) {
    if (env.REANCHOR_DEBUG === '1') terminal.note(stack);
  } else {
    terminal.note(`this is a bug in reanchor: please report it with the lines below\n${stack}`);
  }
}

/** What helps against errors that Node.js and libtorch tell in their own words, to follow these. */
function adviceFor(error: unknown): string {
  if (error instanceof UserError) return '';
  if (isOutOfMemory(error)) {
    return ': there is not enough memory. Free some, raise the limit (ulimit -v, or that of the container), or take less at once; reanchor estimate says what a recipe takes';
  }
  return isIncomplete(error) ? ': reanchor is not whole. In a clone run npm ci, elsewhere npm install reanchor' : '';
}

const isIncomplete = (error: unknown) => (error as { code?: unknown } | undefined)?.code === 'ERR_MODULE_NOT_FOUND';

/**
 * Errors that somebody foresaw: ours, a missing libtorch (which must not be loaded to know its error), those of the
 * operating system, too little memory, missing files of the command itself.
 */
function isMendable(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const isOurs = error instanceof UserError || error.name === 'SetupError';
  return isOurs || 'syscall' in error || isOutOfMemory(error) || isIncomplete(error);
}
