/** Scores by a program that the study names: it reads answers as JSONL and writes a number for each. */
import { findExecutable, startProgram } from '@reanchor/torch/host';
import { type Clock, systemClock, timeLimit } from '../clock.js';
import { shown, UserError } from '../errors.js';

export interface CommandScore {
  /** The program, absolute or found on PATH, and its arguments. */
  command: readonly string[];
  /** After so many it is ended. Default: 60. */
  seconds?: number | undefined;
}

/**
 * The numbers that a program writes for rows, a line each, in their order. It is started in the root folder and meets
 * no shell. Errors: UserError that says what came in which line, for a program that is not there, fails, takes too
 * long, or writes something else than a finite number for each row; the signal's reason once it is aborted.
 */
export async function commandScore(
  { command, seconds = 60 }: CommandScore,
  rows: readonly object[],
  { signal, clock = systemClock }: { signal?: AbortSignal | undefined; clock?: Clock | undefined } = {},
): Promise<number[]> {
  const [name, ...args] = command as [string, ...string[]];
  const program = findExecutable(name);
  if (program === undefined) {
    throw new UserError(`there is no program ${name}: name one by its absolute path, or one that is on PATH`);
  }
  signal?.throwIfAborted();
  const lines: string[] = [];
  const late = new UserError(`${name} has not answered within ${seconds} seconds (${rows.length} rows)`);
  using limit = timeLimit(clock, seconds * 1000, late);
  const stop = AbortSignal.any([limit.signal, ...(signal ? [signal] : [])]);
  const started = startProgram(program, args, { onLine: (line) => lines.push(line) });
  const end = () => started.kill();
  stop.addEventListener('abort', end);
  try {
    started.tell(rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
    started.close();
    const { status, signal: ending, errors } = await started.ended;
    stop.throwIfAborted();
    if (status !== 0) {
      const last = errors.trim().split('\n').at(-1);
      throw new UserError(`${name} ended with ${ending ?? status ?? 'an error'}${last ? `: ${last}` : ''}`);
    }
  } finally {
    stop.removeEventListener('abort', end);
  }
  return numbersOf(lines, { name, count: rows.length });
}

function numbersOf(lines: readonly string[], { name, count }: { name: string; count: number }): number[] {
  const numbers = lines.map((line, i) => {
    const value = parsed(line);
    if (typeof value === 'number' && Number.isFinite(value)) return value;
    throw new UserError(`${name}, line ${i + 1}: ${shown(line)} is not allowed; a finite number is, one line a row`);
  });
  if (numbers.length === count) return numbers;
  const at = numbers.length < count ? `line ${numbers.length + 1} is missing` : `line ${count + 1} is one too many`;
  throw new UserError(
    `${name} wrote ${numbers.length} lines for ${count} rows: ${at}; a number for each row is allowed`,
  );
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
