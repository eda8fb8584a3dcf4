/** Where the command prints: results to stdout, everything else to stderr, one rewritten status line on a terminal. */
import picocolors from 'picocolors';

/** The part of a stream that printing needs. */
export interface Output {
  write(text: string): unknown;
  isTTY?: boolean | undefined;
  columns?: number | undefined;
}

/** Colours for text. */
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
      return picocolors.createColors(isWanted && !env.NO_COLOR);
    };
    this.colors = colorsOn(stderr);
    this.resultColors = colorsOn(stdout);
  }

  /** A line of the result. */
  result(line: string): void {
    this.#clear();
    this.#stdout.write(`${line}\n`);
    this.#redraw();
  }

  /** A piece of the result, as it comes. */
  stream(piece: string): void {
    this.#clear();
    this.#stdout.write(piece);
  }

  /** A line for the person who watches. */
  note(line: string): void {
    this.#clear();
    this.#stderr.write(`${line}\n`);
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

  #print(): void {
    if (this.#stderr.isTTY) {
      // One column less than the terminal has: a full line would wrap and could not be rewritten.
      const text = this.#status.slice(0, Math.max(1, (this.#stderr.columns || 80) - 1));
      this.#stderr.write(`\r\x1b[2K${this.colors.dim(text)}`);
    } else {
      this.#stderr.write(`${this.#status}\n`);
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
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
  const pad = (cell: string, i: number) =>
    i === 0 || align === 'left' ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!);
  return rows.map((row) => row.map(pad).join('  ').trimEnd());
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
