import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Clock, systemClock } from '../clock.js';
import { isRecord, writeFileAtomic } from '../formats/index.js';
import type { RunEvent } from '../runs/index.js';
import { batchLimits, type KeyValue, MlflowClient, MlflowError, type MlflowMetric } from './mlflow-client.js';
import { type MetricSink, metricPoint, type RunEnd } from './sink.js';

export interface MlflowSinkOptions {
  address: string;
  /** The address as messages and files show it: the same, or the variable that stands for it. */
  shown?: string | undefined;
  experiment: string;
  runName: string;
  /** The recipe; its keys become parameters. */
  recipe: object;
  /** The run folder, where it is remembered which run of MLflow it is, so that a resumed run goes on with that. */
  folder?: string | undefined;
  warn: (message: string) => void;
  env?: Readonly<Record<string, string | undefined>>;
  /** Milliseconds: the first and the longest wait before a request is tried again; how long `close` tries. */
  waits?: { first: number; longest: number; close: number };
  clock?: Clock | undefined;
}

/** Numbers kept while the server cannot be reached; about a day of steps a second. */
const mostWaiting = 1_000_000;
/** Says in a run folder which run of MLflow it is. */
const fileName = 'mlflow.json';
/** Tries after which a server that does not answer is told. */
const toldAfter = 4;

/**
 * Sends metrics to MLflow while the run goes on. Requests that fail are tried again, ever less often; what fails is
 * told in one warning, and what was never sent in another, when the run ends.
 */
export class MlflowSink implements MetricSink {
  readonly #client: MlflowClient;
  readonly #options: MlflowSinkOptions;
  readonly #waits: NonNullable<MlflowSinkOptions['waits']>;
  readonly #clock: Clock;
  readonly #queue: MlflowMetric[] = [];
  readonly #closing = new AbortController();
  #unsent = 0;
  #hasGivenUp = false;
  #isTold = false;
  #hasAnswered = false;
  #wake: () => void = () => {};
  readonly #pump: Promise<void>;
  #end: RunEnd | undefined;

  constructor(options: MlflowSinkOptions) {
    this.#options = options;
    this.#waits = options.waits ?? { first: 500, longest: 30_000, close: 20_000 };
    this.#clock = options.clock ?? systemClock;
    this.#client = new MlflowClient({ ...options, clock: this.#clock });
    if (this.#client.withheld !== undefined) options.warn(this.#client.withheld);
    this.#pump = this.#run();
  }

  write(event: RunEvent): void {
    const point = metricPoint(event);
    if (!point) return;
    const { time: timestamp, step, metrics } = point;
    for (const [key, value] of Object.entries(metrics)) {
      if (this.#hasGivenUp || this.#queue.length >= mostWaiting) this.#unsent += 1;
      else this.#queue.push({ key, value: jsonNumber(value), timestamp, step });
    }
    this.#wake();
  }

  async close(end: RunEnd): Promise<void> {
    this.#end = end;
    this.#wake();
    // A server that has not answered during the whole run is not waited for as long as one that has.
    const wait = this.#hasAnswered ? this.#waits.close : this.#waits.close / 10;
    const isDone = new AbortController();
    this.#clock.sleep(wait, isDone.signal).then(
      () => this.#closing.abort(),
      () => {},
    );
    await this.#pump;
    isDone.abort();
    const unsent = this.#unsent + this.#queue.length;
    if (unsent > 0) {
      this.#options.warn(
        `${unsent} numbers of this run were not sent to MLflow (${this.#client.shown}); events.jsonl has them`,
      );
    }
  }

  /** Does all the sending, in order; ends when the run is closed and everything is sent, or nothing more can be. */
  async #run(): Promise<void> {
    try {
      const run = (await this.#knownRun()) ?? (await this.#newRun());
      while (this.#end === undefined || this.#queue.length > 0) {
        if (this.#queue.length === 0) await new Promise<void>((resolve) => (this.#wake = resolve));
        const metrics = this.#queue.slice(0, batchLimits.metrics);
        if (metrics.length === 0) continue;
        await this.#patiently(() => this.#client.logBatch(run, { metrics }));
        this.#queue.splice(0, metrics.length);
      }
      const status = { finished: 'FINISHED', interrupted: 'KILLED', failed: 'FAILED' } as const;
      await this.#patiently(() => this.#client.endRun(run, status[this.#end!], Date.now()));
    } catch (error) {
      this.#hasGivenUp = true;
      this.#tell(error as Error, 'nothing more is sent');
    }
  }

  /** The run of MLflow that an earlier process has begun for this run folder, running again. */
  async #knownRun(): Promise<string | undefined> {
    const { folder } = this.#options;
    if (folder === undefined || !existsSync(join(folder, fileName))) return undefined;
    const known = JSON.parse(await readFile(join(folder, fileName), 'utf8')) as { address: string; run: string };
    if (known.address !== this.#client.shown) return undefined;
    const isThere = await this.#patiently(() => this.#client.reopenRun(known.run));
    return isThere ? known.run : undefined;
  }

  async #newRun(): Promise<string> {
    const { experiment, runName, recipe, folder } = this.#options;
    const id =
      (await this.#patiently(() => this.#client.findExperiment(experiment))) ??
      (await this.#patiently(() => this.#client.createExperiment(experiment)));
    const run = await this.#patiently(() =>
      this.#client.createRun({
        experiment_id: id,
        run_name: runName,
        start_time: Date.now(),
        tags: [
          { key: 'mlflow.runName', value: runName },
          { key: 'mlflow.source.name', value: 'reanchor' },
        ],
      }),
    );
    if (folder !== undefined) {
      const known = { address: this.#client.shown, run };
      await writeFileAtomic(join(folder, fileName), `${JSON.stringify(known)}\n`);
    }
    const params = parameters(recipe);
    for (let i = 0; i < params.length; i += batchLimits.params) {
      const batch = params.slice(i, i + batchLimits.params);
      await this.#patiently(() => this.#client.logBatch(run, { params: batch }));
    }
    return run;
  }

  /** Tries until it succeeds. Errors: what will not pass, and what has not passed when the time to close is over. */
  async #patiently<T>(request: () => Promise<T>): Promise<T> {
    const { first, longest } = this.#waits;
    for (let tries = 1; ; tries++) {
      try {
        const answer = await request();
        this.#hasAnswered = true;
        return answer;
      } catch (error) {
        if (!(error instanceof MlflowError) || !error.isPassing || this.#closing.signal.aborted) throw error;
        if (tries === toldAfter) this.#tell(error, 'it is tried again');
      }
      const wait = Math.min(longest, first * 2 ** (tries - 1));
      await this.#clock.sleep(wait, this.#closing.signal).catch(() => {});
    }
  }

  #tell({ message }: Error, consequence: string): void {
    if (this.#isTold) return;
    this.#isTold = true;
    this.#options.warn(`MLflow: ${message}; the run goes on, ${consequence}; events.jsonl has everything`);
  }
}

const jsonNumber = (value: number): MlflowMetric['value'] =>
  Number.isFinite(value) ? value : (String(value) as 'NaN' | 'Infinity' | '-Infinity');

/** The keys of a recipe as dotted names with texts. */
function parameters(section: object, prefix = ''): KeyValue[] {
  return Object.entries(section).flatMap(([name, value]) => {
    if (isRecord(value)) return parameters(value, `${prefix}${name}.`);
    const text = typeof value === 'string' ? value : JSON.stringify(value);
    // Older servers take 500 characters at most.
    return [{ key: `${prefix}${name}`, value: text.length > 500 ? `${text.slice(0, 497)}...` : text }];
  });
}
