import type { RunEvent } from '../runs/index.js';
import type { ReferenceMark, RunLog } from './api.js';
import { BucketSeries } from './bucket-series.js';
import { EventScanner, type ReferenceLine, type ScanSink } from './event-scanner.js';
import { Thinned } from './thinned.js';

/** Kept one by one; what is beyond is counted. */
const mostMarks = 4096;
const mostMessages = 500;
/** Evaluations whose texts are kept. */
const mostSamples = 64;

/** What a run's events say, in bounded memory. */
export class RunSeries implements ScanSink {
  readonly scanner = new EventScanner();
  readonly steps: BucketSeries;
  readonly evaluations: BucketSeries;
  /** Reference updates by step; their lines are in the buckets, their numbers in `marks`. */
  readonly updates: BucketSeries;
  readonly log: RunLog = {
    warnings: [],
    moreWarnings: 0,
    skipped: [],
    saved: [],
    resumed: [],
    badLines: 0,
    samples: [],
  };
  readonly #samples = new Thinned<RunLog['samples'][number]>(mostSamples);
  #marks: ReferenceMark[] | undefined = [];
  #series: BucketSeries;
  #bucket = -1;
  /** Counts the events that are no step, so that a watcher knows that there is something new. */
  changes = 0;

  /** The last step that is taken. */
  readonly last: number;

  /** Only steps from `first` to `last` are taken; `buckets` say in how much detail. */
  constructor({ first = 0, last = Number.POSITIVE_INFINITY, buckets = 4096 } = {}) {
    const { names } = this.scanner;
    this.last = last;
    this.steps = new BucketSeries(names, first, buckets);
    this.evaluations = new BucketSeries(names, first, buckets);
    this.updates = new BucketSeries(names, first, buckets);
    this.#series = this.steps;
  }

  /** Every reference update; of more than a few thousand, where in the run they are and how many. */
  marks(): ReferenceMark[] {
    if (this.#marks) return this.#marks;
    const { steps, counts } = this.updates.counts();
    return steps.map((step, i) => ({ step, count: counts[i]! }));
  }

  begin(type: 'step' | 'evaluation', step: number, begin: number, end: number): boolean {
    if (step > this.last) return false;
    this.#series = type === 'step' ? this.steps : this.evaluations;
    if (type === 'evaluation') this.changes += 1;
    this.#bucket = this.#series.bucket(step, begin, end);
    return this.#bucket >= 0;
  }

  metric(metric: number, value: number): void {
    this.#series.add(metric, this.#bucket, value);
  }

  reference(
    { step, version, share, update, distanceBefore, distanceAfter }: ReferenceLine,
    begin: number,
    end: number,
  ): void {
    if (step > this.last || this.updates.bucket(step, begin, end) < 0) return;
    if (this.updates.lines > mostMarks) this.#marks = undefined;
    const known = (value: number) => (Number.isFinite(value) ? value : undefined);
    this.#marks?.push({
      step,
      count: 1,
      version,
      share,
      update,
      distanceBefore: known(distanceBefore),
      distanceAfter: known(distanceAfter),
    });
  }

  event(event: RunEvent): void {
    this.changes += 1;
    const { log } = this;
    switch (event.type) {
      case 'start':
        log.start = event;
        log.end = undefined;
        log.stopped = undefined;
        log.failed = undefined;
        break;
      case 'failed':
        log.failed = event;
        break;
      case 'stopped':
        log.stopped = event;
        break;
      case 'end':
        log.end = event;
        break;
      case 'warning':
        if (log.warnings.length < mostMessages) log.warnings.push({ time: event.time, message: event.message });
        else log.moreWarnings += 1;
        break;
      case 'saved':
        if (log.saved.length < mostMessages) log.saved.push({ time: event.time, folder: event.folder });
        break;
      case 'resumed':
        if (log.resumed.length < mostMessages) log.resumed.push({ time: event.time, step: event.step });
        break;
      case 'skipped': {
        const known = log.skipped.find(({ reason, file }) => reason === event.reason && file === event.file);
        if (known) known.count += 1;
        else if (log.skipped.length < mostMessages)
          log.skipped.push({ reason: event.reason, file: event.file, count: 1 });
        break;
      }
      case 'samples':
        this.#samples.push({ step: event.step, samples: event.samples });
        log.samples = this.#samples.items;
        break;
      default:
        break;
    }
  }

  bad(): void {
    this.changes += 1;
    this.log.badLines += 1;
  }
}
