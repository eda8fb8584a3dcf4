/** The events of a training run as lines and a status line. */
import type { DownloadProgress } from '../hub/index.js';
import type { ReadingProgress } from '../planning/token-rows.js';
import type { RunEvent } from '../runs/index.js';
import { duration, type Terminal } from './terminal.js';

/** Prints the events of a training run as they come. */
export class TrainProgress {
  readonly #terminal: Terminal;
  /** Lines of the rows skipped, by reason and file. */
  readonly #skipped = new Map<string, number[]>();
  /** Optimizer steps of the whole run; 0 until it has started. */
  plannedSteps = 0;
  /** The first logged step and its time, from which the time that is left is estimated. */
  #first: { step: number; ms: number } | undefined;

  /** `now` gives milliseconds of a clock that nobody sets. */
  constructor(
    terminal: Terminal,
    readonly now: () => number = () => performance.now(),
  ) {
    this.#terminal = terminal;
  }

  onEvent(event: RunEvent): void {
    const { colors } = this.#terminal;
    if (event.type !== 'skipped') this.#noteSkipped();
    switch (event.type) {
      case 'start':
        this.plannedSteps = event.steps;
        this.#terminal.note(
          `training on ${number(event.rows)} rows in ${number(event.steps)} ${event.steps === 1 ? 'step' : 'steps'}, ` +
            `${number(event.validationRows)} to evaluate on, ${number(event.parameters)} parameters` +
            (event.trained === undefined ? '' : `, of which an adapter trains ${number(event.trained)}`),
        );
        break;
      case 'resumed':
        this.plannedSteps = event.steps;
        this.#terminal.note(`going on after step ${number(event.step)} of ${number(event.steps)}`);
        for (const change of event.changes ?? []) this.#terminal.note(`changed since the run began: ${change}`);
        break;
      case 'stopped':
        this.#terminal.endStatus();
        this.#terminal.note(event.message);
        break;
      case 'checkpoint':
        this.#terminal.note(`saved ${event.folder}`);
        break;
      case 'step': {
        const ms = this.now();
        this.#first ??= { step: event.step, ms };
        this.#terminal.status(stepText(event, this.plannedSteps, { first: this.#first, ms }));
        if (event.step === this.plannedSteps) this.#terminal.endStatus();
        break;
      }
      case 'evaluation':
        this.#terminal.note(`step ${event.step}: evaluation, against the initial model: ${metricsText(event.metrics)}`);
        break;
      case 'skipped': {
        const key = `${event.reason}: ${event.file}`;
        const lines = this.#skipped.get(key) ?? [];
        lines.push(event.line);
        this.#skipped.set(key, lines);
        break;
      }
      case 'warning':
        this.#terminal.note(`${colors.yellow('warning:')} ${event.message}`);
        break;
      case 'saved':
        this.#terminal.endStatus();
        this.#terminal.note(`saved ${event.folder}`);
        break;
      case 'end':
        this.#terminal.endStatus();
        this.#terminal.note(`${number(event.steps)} steps in ${duration(event.seconds)}`);
        break;
      case 'reference':
        // Every step has one with a soft update; their sum is the step's reference/version.
        break;
    }
  }

  #noteSkipped(): void {
    for (const [reasonAndFile, lines] of this.#skipped) {
      const shown = lines.slice(0, 3).join(', ');
      const more = lines.length > 3 ? ` and ${number(lines.length - 3)} more, all in events.jsonl` : '';
      const s = lines.length === 1 ? '' : 's';
      this.#terminal.note(`skipped ${number(lines.length)} row${s}, ${reasonAndFile} line${s} ${shown}${more}`);
    }
    this.#skipped.clear();
  }
}

/** The status of a run after a logged step at the time `ms`; `first` is where the estimate of the time left begins. */
export function stepText(
  { step, metrics }: Extract<RunEvent, { type: 'step' }>,
  plannedSteps: number,
  { first, ms }: { first: { step: number; ms: number }; ms: number },
): string {
  const parts = [`step ${step}/${plannedSteps}`, metricsText(metrics)];
  const rate = metrics.tokens_per_second;
  if (rate !== undefined) parts.push(`${number(Math.round(rate))} tokens/s`);
  if (step > first.step) {
    const secondsPerStep = (ms - first.ms) / 1000 / (step - first.step);
    parts.push(`${duration(secondsPerStep * (plannedSteps - step))} left`);
  }
  return parts.join('  ');
}

function metricsText(metrics: Record<string, number>): string {
  const shown: [string, string][] = [
    ['loss', 'loss'],
    ['margin', 'rewards/margins'],
    ['accuracy', 'rewards/accuracies'],
    ['KL', 'kl/initial'],
    ['KL to the reference', 'kl/reference'],
    ['tokens', 'length/mean'],
  ];
  return shown
    .filter(([, name]) => metrics[name] !== undefined)
    .map(([label, name]) => `${label} ${metrics[name]!.toFixed(4)}`)
    .join('  ');
}

/** Shows on a terminal how far a download is: bytes, rate and time left; and what is waited for. */
export function downloadStatus(
  terminal: Terminal,
  now: () => number = () => performance.now(),
): (progress: DownloadProgress) => void {
  let first: { ms: number; done: number; total: number } | undefined;
  return ({ repository, file, done, total, waiting }) => {
    if (waiting !== undefined) return terminal.note(waiting);
    // Another total is another set of files.
    if (first?.total !== total) first = { ms: now(), done, total };
    const parts = [`downloading ${repository}  ${bytes(done)} of ${bytes(total)}`];
    const rate = (done - first.done) / Math.max(1, now() - first.ms);
    if (rate > 0) parts.push(`${bytes(1000 * rate)}/s`, `${duration((total - done) / rate / 1000)} left`);
    terminal.status([...parts, file].join('  '));
    if (done === total) terminal.endStatus();
  };
}

/** Rows of a small file are there sooner than it can be read how many there are. */
const untoldMs = 500;

/** Shows on a terminal how far the reading of rows is: rows, rate and time left. */
export function readingStatus(
  terminal: Terminal,
  now: () => number = () => performance.now(),
): (progress: ReadingProgress) => void {
  const begun = now();
  return ({ rows, share, waitsFor }) => {
    const ms = now() - begun;
    if (waitsFor !== undefined) return terminal.status(`waiting for the rows, which ${waitsFor} makes tokens`);
    if (share === 1) return terminal.endStatus();
    if (ms < untoldMs) return;
    const parts = [`rows to tokens  ${number(rows)} rows`, `${number(Math.round((1000 * rows) / ms))} rows/s`];
    if (share > 0) parts.push(`${duration((ms / 1000 / share) * (1 - share))} left`);
    terminal.status(parts.join('  '));
  };
}

/** A number of bytes with three digits or so. */
export function bytes(count: number): string {
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB'];
  const power = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(1, count)) / 3));
  const value = count / 1000 ** power;
  return `${value.toFixed(power > 0 && value < 100 ? 1 : 0)} ${units[power]}`;
}

/** A whole number with thousands separated. */
export const number = (value: number) => value.toLocaleString('en-US');

/** Bytes in KiB, MiB or GiB. */
export function bytesText(bytes: number): string {
  const mebibytes = bytes / 2 ** 20;
  if (mebibytes > 0 && mebibytes < 1) return `${Math.ceil(bytes / 1024)} KiB`;
  return mebibytes < 10_000
    ? `${number(Math.round(mebibytes))} MiB`
    : `${number(Math.round(mebibytes / 102.4) / 10)} GiB`;
}

/** A number of things, as in `3 steps`. */
export const countOf = (n: number, what: string) => `${number(n)} ${what}${n === 1 ? '' : 's'}`;
