/** One run's events.jsonl, followed as it grows. */
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { type FileState, fileState } from './file-state.js';
import { ReadBlocks } from './read-blocks.js';
import { RunSeries } from './run-series.js';
import type { ServedFolder } from './served-folder.js';

/** Small enough that others are answered between two pieces. */
const chunkBytes = 1 << 20;
/** A line longer than this is not read, nor what follows it. */
const longestLine = 1 << 24;

/** How little of a file is enough: some steps and updates, in so many buckets. All other events are read. */
export interface Skim {
  /** Steps that are read, or a few more, the newest among them. */
  samples: number;
  buckets: number;
}

export class RunFile {
  series: RunSeries;
  /** Rises when the file was replaced, rewritten or cut off, which starts it anew. */
  generation = 0;
  /** Bytes read, which are whole lines. */
  bytesRead = 0;
  bytes = 0;
  #inode = 0;
  /** Why the file cannot be opened, and why it cannot be read to its end. */
  #notOpened: string | undefined;
  #notRead: string | undefined;
  /** Of the last look; undefined where no file was there. */
  #state: FileState | undefined;
  #blocks = new ReadBlocks();
  #reading: Promise<void> | undefined;

  readonly skim: Skim | undefined;
  readonly #now: () => number;

  /**
   * Reads every event, or with `skim` what says how the run stands, at a fraction of the price. `now` gives
   * milliseconds since 1970, as the times of files.
   */
  constructor(
    readonly folder: ServedFolder,
    readonly runPath: string,
    { skim, now = Date.now }: { skim?: Skim; now?: () => number } = {},
  ) {
    this.skim = skim;
    this.#now = now;
    this.series = new RunSeries(skim);
  }

  /** The share that has been read, up to 1. */
  get read(): number {
    return this.bytes === 0 ? 1 : Math.min(1, this.bytesRead / this.bytes);
  }

  /** Why the file, or the end of it, cannot be read. */
  get problem(): string | undefined {
    return this.#notOpened ?? this.#notRead;
  }

  /** The bytes that {@link refresh} would read. */
  async unread(): Promise<number> {
    this.bytes = (await this.#open(async (handle) => (await handle.stat()).size)) ?? 0;
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
    const isThere = await this.#open(async (handle) => {
      const stats = await handle.stat();
      const state = fileState(stats, this.#now());
      const before = this.#state;
      if (before?.isSettled && before.key === state.key) return true;
      this.#state = undefined;
      const { size, ino } = stats;
      // One that has changed without growing may differ anywhere.
      const how = before !== undefined && before.key !== state.key && size === this.bytes ? 'all' : 'some';
      const isOther = ino !== this.#inode && this.#inode !== 0;
      if (isOther || size < this.bytesRead || !(await this.#blocks.areIn(handle, how))) this.#restart();
      // What could not be read stays so while the file grows behind it.
      if (size <= this.bytes && before?.key !== state.key) this.#notRead = undefined;
      this.#inode = ino;
      this.bytes = size;
      if (this.skim) this.series.scanner.stride = Math.ceil(size / this.skim.samples);
      if (this.#notRead === undefined) await this.#readOn(handle);
      this.#state = state;
      return true;
    });
    if (isThere) return;
    this.#state = undefined;
    if (this.bytesRead > 0) this.#restart();
  }

  async #readOn(handle: FileHandle): Promise<void> {
    const isWhole = await readLines(handle, this.series, this.bytesRead, this.bytes, (position, bytes) => {
      this.bytesRead = position;
      this.#blocks.add(bytes);
    });
    if (isWhole) return;
    this.#notRead = `events.jsonl: what begins at byte ${this.bytesRead} is no line, so nothing from there on is read`;
  }

  #restart(): void {
    this.series = new RunSeries(this.skim);
    this.generation += 1;
    this.bytesRead = 0;
    this.bytes = 0;
    this.#notRead = undefined;
    this.#blocks = new ReadBlocks();
  }

  /** What `use` makes of the open file; undefined where none is there, or it cannot be opened. */
  async #open<T>(use: (handle: FileHandle) => Promise<T>): Promise<T | undefined> {
    this.#notOpened = undefined;
    const handle = await this.folder.open(join(this.runPath, 'events.jsonl')).catch((error: Error) => {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') this.#notOpened = error.message;
      return undefined;
    });
    if (!handle) return undefined;
    try {
      return await use(handle);
    } finally {
      await handle.close();
    }
  }
}

/**
 * Hands the whole lines between two offsets to `series`; `onRead` hears of each piece of them, and where it ends.
 * Returns whether what comes next may be a line.
 */
async function readLines(
  handle: FileHandle,
  series: RunSeries,
  begin: number,
  end: number,
  onRead: (position: number, bytes: Buffer) => void = () => {},
): Promise<boolean> {
  let buffer = Buffer.allocUnsafe(Math.min(chunkBytes, Math.max(1, end - begin)));
  let rest = 0;
  for (let position = begin; position + rest < end; ) {
    const wanted = Math.min(buffer.length - rest, end - position - rest);
    const { bytesRead } = await handle.read(buffer, rest, wanted, position + rest);
    if (bytesRead === 0) return true;
    const filled = rest + bytesRead;
    const used = series.scanner.scan(buffer.subarray(0, filled), position, series);
    position += used;
    rest = filled - used;
    onRead(position, buffer.subarray(0, used));
    buffer.copyWithin(0, used, filled);
    if (rest < buffer.length) continue;
    // JSON has no zero byte, and a hole in a file has nothing else: it is not read to its end.
    if (rest >= longestLine || (rest >= chunkBytes && buffer.includes(0))) return false;
    buffer = Buffer.concat([buffer, Buffer.allocUnsafe(buffer.length)]);
  }
  return true;
}
