import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { EventFileWriter, eventFileName } from '../formats/index.js';
import type { RunEvent } from '../runs/index.js';
import { type MetricSink, metricPoint } from './sink.js';

/** Writes an event file of TensorBoard into a run folder. A file that cannot be written is told once and given up. */
export class TensorBoardSink implements MetricSink {
  #writer: EventFileWriter | undefined;
  readonly #path: string;
  readonly #warn: (message: string) => void;

  /** After a resume, TensorBoard forgets what other files of the run have after step `resumedAt`. */
  constructor(folder: string, warn: (message: string) => void, resumedAt?: number) {
    this.#warn = warn;
    const now = new Date();
    this.#path = freePath(join(folder, eventFileName(now)));
    this.#attempt(() => {
      const restartsAt = resumedAt === undefined ? undefined : resumedAt + 1;
      this.#writer = new EventFileWriter(this.#path, { time: now, restartsAt });
    });
  }

  write(event: RunEvent): void {
    const point = metricPoint(event);
    if (!point) return;
    this.#attempt(() => this.#writer?.write({ time: point.time / 1000, step: point.step, scalars: point.metrics }));
  }

  async close(): Promise<void> {
    this.#attempt(() => this.#writer?.[Symbol.dispose]());
  }

  #attempt(write: () => void): void {
    try {
      write();
    } catch (error) {
      this.#writer = undefined;
      this.#warn(
        `${this.#path} cannot be written (${(error as Error).message}): TensorBoard gets no more of this run; events.jsonl has everything`,
      );
    }
  }
}

/** A run that is resumed within the second begins a file of the same name. */
function freePath(path: string): string {
  let free = path;
  for (let i = 1; existsSync(free); i++) free = `${path}.${i}`;
  return free;
}
