/** One run's events.jsonl, followed as it grows. */
import { readSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { RunSeries } from './run-series.js';
import type { ServedFolder } from './served-folder.js';

/** Small enough that others are answered between two pieces. */
const chunkBytes = 1 << 20;
/** A line longer than this is not read, nor what follows it. */
const longestLine = 1 << 28;

export class RunFile {
  series = new RunSeries();
  /** Rises when the file was replaced or cut off, which starts it anew. */
  generation = 0;
  /** Bytes read, which are whole lines. */
  bytesRead = 0;
  bytes = 0;
  #inode = 0;
  #reading: Promise<void> | undefined;

  constructor(
    readonly folder: ServedFolder,
    readonly runPath: string,
  ) {}

  /** The share that has been read, up to 1. */
  get read(): number {
    return this.bytes === 0 ? 1 : Math.min(1, this.bytesRead / this.bytes);
  }

  /** The bytes that {@link refresh} would read. */
  async unread(): Promise<number> {
    await this.#open(async (handle) => {
      this.bytes = (await handle.stat()).size;
    });
    return this.bytes - this.bytesRead;
  }

  /** Reads what has come since; a second call while one reads waits for it. A file that is not there has no events. */
  refresh(): Promise<void> {
    this.#reading ??= this.#refresh().finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  /** The events of some steps alone, from the bytes of the file in which they are. */
  async part(from: number, to: number): Promise<RunSeries> {
    const { steps, evaluations, updates } = this.series;
    const places = [steps, evaluations, updates].flatMap((series) => series.bytesOf(from, to) ?? []);
    const part = new RunSeries({ first: from, last: to });
    if (places.length === 0) return part;
    await this.#open((handle) => readLines(handle, part, Math.min(...places), Math.max(...places)));
    return part;
  }

  async #refresh(): Promise<void> {
    await this.#open(async (handle) => {
      const { size, ino } = await handle.stat();
      if (size < this.bytesRead || (ino !== this.#inode && this.#inode !== 0)) {
        this.series = new RunSeries();
        this.generation += 1;
        this.bytesRead = 0;
      }
      this.#inode = ino;
      this.bytes = size;
      await readLines(handle, this.series, this.bytesRead, size, (position) => {
        this.bytesRead = position;
      });
    });
  }

  async #open(use: (handle: FileHandle) => Promise<void>): Promise<void> {
    const handle = await this.folder.open(eventsPath(this.runPath)).catch(() => undefined);
    if (!handle) return;
    try {
      await use(handle);
    } finally {
      await handle.close();
    }
  }
}

/** Hands the whole lines between two offsets to `series`; `onRead` hears how far it is, after every piece. */
async function readLines(
  handle: FileHandle,
  series: RunSeries,
  begin: number,
  end: number,
  onRead: (position: number) => void = () => {},
): Promise<void> {
  let buffer = Buffer.allocUnsafe(Math.min(chunkBytes, Math.max(1, end - begin)));
  let rest = 0;
  for (let position = begin; position + rest < end; ) {
    const wanted = Math.min(buffer.length - rest, end - position - rest);
    const { bytesRead } = await handle.read(buffer, rest, wanted, position + rest);
    if (bytesRead === 0) return;
    const filled = rest + bytesRead;
    const used = series.scanner.scan(buffer.subarray(0, filled), position, series);
    position += used;
    rest = filled - used;
    onRead(position);
    buffer.copyWithin(0, used, filled);
    if (rest < buffer.length) continue;
    if (rest >= longestLine) return;
    buffer = Buffer.concat([buffer, Buffer.allocUnsafe(buffer.length)]);
  }
}

/** A file up to this size is read whole for a sketch. */
const sketchWhole = 1 << 16;
const headBytes = 1 << 13;
const tailBytes = 1 << 13;
const sampleBytes = 1 << 11;

/**
 * A run's first and last events and some in between, at the price of a few reads however long the file is. Returns the
 * size of the file; 0 when it is not there.
 */
export async function sketch(
  folder: ServedFolder,
  runPath: string,
  { samples, buckets }: { samples: number; buckets: number },
): Promise<{ series: RunSeries; bytes: number }> {
  const series = new RunSeries({ buckets });
  const handle = await folder.open(eventsPath(runPath)).catch(() => undefined);
  if (!handle) return { series, bytes: 0 };
  try {
    const { size } = await handle.stat();
    if (size <= sketchWhole) {
      await readLines(handle, series, 0, size);
      return { series, bytes: size };
    }
    const between = size - headBytes - tailBytes;
    const step = Math.floor(between / samples);
    const places: [position: number, length: number][] = [
      [0, headBytes],
      ...Array.from({ length: samples }, (_, i): [number, number] => [headBytes + i * step, sampleBytes]),
      [size - tailBytes, tailBytes],
    ];
    const buffer = Buffer.allocUnsafe(Math.max(headBytes, tailBytes));
    for (const [position, length] of places) {
      // Many small reads: each takes microseconds, and handing it to another thread several times as long.
      const bytes = buffer.subarray(0, readSync(handle.fd, buffer, 0, length, position));
      const line = position === 0 ? 0 : bytes.indexOf(10) + 1;
      if (position === 0 || line > 0) series.scanner.scan(bytes.subarray(line), position + line, series);
    }
    return { series, bytes: size };
  } finally {
    await handle.close();
  }
}

const eventsPath = (runPath: string) => join(runPath, 'events.jsonl');
