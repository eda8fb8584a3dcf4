/**
 * Where the command prints: results to stdout, everything else to stderr, one rewritten status line on a terminal. All
 * text passes here, and what others wrote (names of files, answers of servers, words of a template) reaches no terminal
 * as a command: see {@link printable}.
 */
import { randomBytes } from 'node:crypto';
import picocolors from 'picocolors';
import { withoutPasswords } from '../secrets.js';

/** The part of a stream that printing needs. */
export interface Output {
  write(text: string): unknown;
  isTTY?: boolean | undefined;
  columns?: number | undefined;
}

/** Colours for text, printed by a {@link Terminal} alone. */
export type Colors = ReturnType<typeof picocolors.createColors>;

export interface TerminalOptions {
  stdout?: Output;
  stderr?: Output;
  env?: Readonly<Record<string, string | undefined>>;
  /** Milliseconds since some start. */
  now?: () => number;
}

/** Redraws of a status line on a terminal, and status lines elsewhere, are at least this many milliseconds apart. */
const redrawMs = 100;
const plainMs = 5000;

/**
 * What a terminal may obey, or what lets a text look like another one: control characters, those of C1 among them
 * (U+009B begins a command as ESC [ does), line separators, and the controls of the direction of writing.
 */
const unprintable = /(?![\n\t])[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu;

/**
 * A text whose control characters, but line feeds and tabs, are shown as JSON escapes them (`\u001b`), so that JSON
 * stays the same JSON. A line end of Windows is a line feed.
 */
export function printable(text: string): string {
  return text
    .replaceAll('\r\n', '\n')
    .replace(unprintable, (found) => `\\u${found.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** Stands for the escape character of our own colours until they are printed; nobody else can know it. */
const ownEscape = `\ue000${randomBytes(8).toString('hex')}`;

function ownColors(isOn: boolean): Colors {
  const paints = Object.entries(picocolors.createColors(isOn)).map(([name, paint]) => [
    name,
    typeof paint === 'function' ? (text: string) => paint(printable(text)).replaceAll('\x1b', ownEscape) : paint,
  ]);
  return Object.fromEntries(paints) as Colors;
}

/** The two outputs of a command, and the status line between the lines of stderr. */
export class Terminal {
  /** Colours of what goes to stderr, which honour NO_COLOR and are off where it is no terminal. */
  readonly colors: Colors;
  /** The same of results, which go to stdout. */
  readonly resultColors: Colors;
  readonly #stdout: Output;
  readonly #stderr: Output;
  readonly #now: () => number;
  /** What {@link status} was last told; '' when there is no status. */
  #status = '';
  #hide: (text: string) => string = (text) => text;
  #isPrinted = false;
  #printedAt = Number.NEGATIVE_INFINITY;

  constructor({
    stdout = process.stdout,
    stderr = process.stderr,
    env = process.env,
    now = Date.now,
  }: TerminalOptions = {}) {
    this.#stdout = stdout;
    this.#stderr = stderr;
    this.#now = now;
    const colorsOn = ({ isTTY }: Output) => {
      const isWanted = env.FORCE_COLOR ? env.FORCE_COLOR !== '0' : isTTY === true && env.TERM !== 'dumb';
      return ownColors(isWanted && !env.NO_COLOR);
    };
    this.colors = colorsOn(stderr);
    this.resultColors = colorsOn(stdout);
  }

  /** From now on every line is printed as `hide` gives it back: without what a recipe's variables stand for. */
  conceal(hide: (text: string) => string): void {
    this.#hide = hide;
  }

  /** A line of the result. */
  result(line: string): void {
    this.#clear();
    this.#stdout.write(`${this.#shown(line)}\n`);
    this.#redraw();
  }

  /** A piece of the text of a model, as it comes: {@link printable} on a terminal, as it is in a file or a pipe. */
  stream(piece: string): void {
    this.#clear();
    this.#stdout.write(this.#stdout.isTTY ? printable(piece) : piece);
  }

  /** A line for the person who watches. */
  note(line: string): void {
    this.#clear();
    this.#stderr.write(`${this.#shown(line)}\n`);
    this.#redraw();
  }

  /** How far the work is: rewritten in place on a terminal, elsewhere a line every few seconds. */
  status(text: string): void {
    this.#status = text;
    this.#isPrinted = false;
    if (this.#now() - this.#printedAt >= (this.#stderr.isTTY ? redrawMs : plainMs)) this.#print();
  }

  /** Leaves the last status as a line of its own. */
  endStatus(): void {
    if (this.#status === '') return;
    if (!this.#isPrinted) this.#print();
    if (this.#stderr.isTTY) this.#stderr.write('\n');
    this.#status = '';
    this.#printedAt = Number.NEGATIVE_INFINITY;
  }

  #shown(text: string): string {
    return printable(withoutPasswords(this.#hide(text))).replaceAll(ownEscape, '\x1b');
  }

  #print(): void {
    const line = this.#shown(this.#status).replaceAll('\n', ' ');
    if (this.#stderr.isTTY) {
      // One column less than the terminal has: a full line would wrap and could not be rewritten.
      const text = line.slice(0, Math.max(1, (this.#stderr.columns || 80) - 1));
      this.#stderr.write(`\r\x1b[2K${this.colors.dim(text).replaceAll(ownEscape, '\x1b')}`);
    } else {
      this.#stderr.write(`${line}\n`);
    }
    this.#isPrinted = true;
    this.#printedAt = this.#now();
  }

  get #hasStatusLine(): boolean {
    return this.#stderr.isTTY === true && this.#status !== '';
  }

  #clear(): void {
    if (this.#hasStatusLine) this.#stderr.write('\r\x1b[2K');
  }

  #redraw(): void {
    if (this.#hasStatusLine) this.#print();
  }
}

/** Rows of cells as aligned lines; the columns after the first are aligned as told. */
export function table(rows: readonly (readonly string[])[], align: 'left' | 'right' = 'right'): string[] {
  const cells = rows.map((row) => row.map(printable));
  const widths = (cells[0] ?? []).map((_, i) => Math.max(...cells.map((row) => row[i]?.length ?? 0)));
  const pad = (cell: string, i: number) =>
    i === 0 || align === 'left' ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!);
  return cells.map((row) => row.map(pad).join('  ').trimEnd());
}

/** A duration in words: `45s`, `12m 05s`, `3h 07m`. */
export function duration(seconds: number): string {
  const whole = Math.round(seconds);
  const two = (n: number) => String(n).padStart(2, '0');
  if (whole < 60) return `${whole}s`;
  if (whole < 3600) return `${Math.floor(whole / 60)}m ${two(whole % 60)}s`;
  return `${Math.floor(whole / 3600)}h ${two(Math.floor((whole % 3600) / 60))}m`;
}

/** A word as a shell takes it: quoted where it must be. */
export function shellWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
