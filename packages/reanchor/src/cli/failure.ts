/** What the command says, and which code it ends with, when something goes wrong. */
import { CommanderError } from 'commander';
import { UsageError, UserError } from '../errors.js';
import type { Terminal } from './terminal.js';

/** 0 for help and version, 2 for wrong usage, 1 for everything else. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) {
    return ['commander.helpDisplayed', 'commander.version'].includes(error.code) ? 0 : 2;
  }
  return error instanceof UsageError ? 2 : 1;
}

/**
 * Prints an error: of what the user or the machine can mend, the message (REANCHOR_DEBUG=1: the stack too); of
 * anything else, the message, that it is a bug, and the stack.
 */
export function reportError(
  error: unknown,
  terminal: Terminal,
  env: Readonly<Record<string, string | undefined>>,
): void {
  const { colors } = terminal;
  terminal.endStatus();
  const { message, stack = '' } = error instanceof Error ? error : new Error(String(error));
  terminal.note(`${colors.red('error:')} ${message}`);
  if (isMendable(error)) {
    if (env.REANCHOR_DEBUG === '1') terminal.note(stack);
  } else {
    terminal.note(`this is a bug in reanchor: please report it with the lines below\n${stack}`);
  }
}

/**
 * Errors that somebody foresaw: ours, a missing libtorch (which must not be loaded to know its error), those of the
 * operating system, too little memory.
 */
function isMendable(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const isOutOfMemory = 'outOfMemory' in error && error.outOfMemory === true;
  return error instanceof UserError || error.name === 'SetupError' || 'syscall' in error || isOutOfMemory;
}
