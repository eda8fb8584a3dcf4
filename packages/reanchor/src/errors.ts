/** Errors that a person can mend. Their messages say what was given, what is allowed and what to do next. */

/** How a message calls an option of a function: the library `maxLength`, the command `--max-length`. */
export type Naming = (option: string) => string;

/** A message; as a function where it names options. */
export type Message = string | ((option: Naming) => string);

const byName: Naming = (option) => option;

/** What a message says with options called so, by default by their names. */
export const messageText = (message: Message, naming = byName) =>
  typeof message === 'string' ? message : message(naming);

/** Anything a user can mend; the command ends with exit code 1. */
export class UserError extends Error {
  override name = 'UserError';
  readonly #message: Message;

  constructor(message: Message, options?: ErrorOptions) {
    super(messageText(message), options);
    this.#message = message;
  }

  /** The message with options called otherwise: the command names its flags. */
  told(naming: Naming): string {
    return messageText(this.#message, naming);
  }
}

/** Wrong usage: flags, arguments, a recipe; the command ends with exit code 2. */
export class UsageError extends UserError {
  override name = 'UsageError';
}

/** Where in a file something is wrong. */
export interface FormatPlace {
  file: string;
  /** A line (`12`), a line and a column (`12:5`), or other words (`header`, `byte 8`). */
  where?: string | undefined;
  cause?: unknown;
}

/** A file that is not what it should be. The message begins with the place: `file:12:5: ...` or `file, byte 8: ...`. */
export class FormatError extends UserError {
  override name = 'FormatError';
  readonly file: string;
  /** The place in the file; '' for the file as a whole. */
  readonly where: string;

  constructor(message: string, { file, where = '', cause }: FormatPlace) {
    const place = where === '' ? file : /^\d/.test(where) ? `${file}:${where}` : `${file}, ${where}`;
    super(`${place}: ${shortened(message, 4000)}`, cause === undefined ? undefined : { cause });
    this.file = file;
    this.where = where;
  }
}

/** A path that is there and cannot be read as a file: `x is a pipe, and only files are read`. */
export class NotReadable extends UserError {
  override name = 'NotReadable';
}

/** That a path cannot be read, and why: `x does not exist`. */
export function unreadable(path: string, cause: unknown): string {
  if (cause instanceof NotReadable) return cause.message;
  const { code, message } = cause as NodeJS.ErrnoException;
  const known: Record<string, string> = {
    ENOENT: 'does not exist',
    EISDIR: 'is a folder',
    ENOTDIR: 'is a file, or below one',
    EACCES: 'may not be read by this user',
  };
  return `${path} ${known[code ?? ''] ?? `cannot be read (${message})`}`;
}

/**
 * Whether an error, or its cause, says that memory could not be had: libtorch's allocator marks its errors; what
 * Node.js cannot allocate is told by codes and by words.
 */
export function isOutOfMemory(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { code = '', message, cause } = error as NodeJS.ErrnoException;
  const isMarked = 'outOfMemory' in error && error.outOfMemory === true;
  const isCode = /^(ENOMEM|ERR_WORKER_OUT_OF_MEMORY|ERR_MEMORY_ALLOCATION_FAILED)$/.test(code);
  const isSaid =
    /Array buffer allocation failed|WebAssembly.* ([Oo]ut of|could not allocate) memory|failed to map segment|annot allocate memory/;
  return isMarked || isCode || isSaid.test(message) || isOutOfMemory(cause);
}

/** Problems that a message tells. */
const mostProblems = 25;

/** The beginning of a text. */
export const shortened = (text: string, most: number) => (text.length > most ? `${text.slice(0, most - 3)}...` : text);

/** A value as messages show it: the beginning of its JSON. */
export function shown(value: unknown): string {
  if (typeof value === 'string') return shortened(JSON.stringify(value.slice(0, 100)), 80);
  // JSON has no word for them.
  if (typeof value === 'number' && !Number.isFinite(value)) return String(value);
  try {
    return shortened(JSON.stringify(value) ?? String(value), 80);
  } catch {
    return 'a value of many lists in each other'; // JSON.stringify goes into itself.
  }
}

/** A recipe with mistakes: all of them, each with its key, what was given, what is allowed, and its place. */
export class RecipeError extends UsageError {
  override name = 'RecipeError';

  /** `message` tells what is wrong where a list of problems would not. */
  constructor(
    readonly file: string,
    readonly problems: readonly string[],
    message: string = problemList(file, problems),
  ) {
    super(message);
  }
}

function problemList(file: string, problems: readonly string[]): string {
  const count = problems.length === 1 ? 'a problem' : `${problems.length} problems`;
  const told = problems.slice(0, mostProblems).map((problem) => `  ${shortened(problem, 300)}`);
  const others = problems.length - told.length;
  return [`${file} has ${count}:`, ...told, ...(others > 0 ? [`  and ${others} more`] : [])].join('\n');
}
