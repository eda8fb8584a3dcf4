/** What a judge has answered, kept on disk: a JSONL file that only grows, each line durable before it counts. */
import { type FileHandle, open } from 'node:fs/promises';
import { readJsonl, writeError, writeFully } from '../../formats/index.js';

/** A line of the file; `key` says what was asked. */
export interface CacheEntry {
  key: string;
}

/**
 * The entries of a cache file by key, and new ones. A process may be killed at any time: an entry whose `put` was
 * resolved is there when the file is opened again; half a line, which a kill may leave, is skipped and not removed.
 */
export class ReplyCache<Entry extends CacheEntry> {
  readonly #file: string;
  readonly #handle: FileHandle;
  readonly #entries = new Map<string, Entry>();
  #waiting: { line: string; done: () => void; failed: (error: unknown) => void }[] = [];
  #writing: Promise<void> | undefined;

  private constructor(file: string, handle: FileHandle) {
    this.#file = file;
    this.#handle = handle;
  }

  /** Opens a cache file, which is made if it is not there. Errors: UserError. */
  static async open<Entry extends CacheEntry>(file: string): Promise<ReplyCache<Entry>> {
    let handle: FileHandle;
    try {
      handle = await open(file, 'a+');
    } catch (error) {
      throw writeError(file, error);
    }
    try {
      const cache = new ReplyCache<Entry>(file, handle);
      for await (const { value } of readJsonl(file, { skipBroken: true })) {
        const entry = value as Entry;
        if (typeof entry?.key === 'string') cache.#entries.set(entry.key, entry);
      }
      await cache.#endLine();
      return cache;
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  get size(): number {
    return this.#entries.size;
  }

  get(key: string): Entry | undefined {
    return this.#entries.get(key);
  }

  /** Adds an entry; resolved when it is on the disk. Entries that come while the disk is busy go there together. */
  async put(entry: Entry): Promise<void> {
    const written = new Promise<void>((done, failed) => {
      this.#waiting.push({ line: `${JSON.stringify(entry)}\n`, done, failed });
    });
    this.#writing ??= this.#drain();
    await written;
    this.#entries.set(entry.key, entry);
  }

  /** Waits for what is being written and closes the file. */
  async close(): Promise<void> {
    await this.#writing;
    await this.#handle.close();
  }

  async #drain(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting;
      this.#waiting = [];
      try {
        await writeFully(this.#handle, Buffer.from(batch.map(({ line }) => line).join('')));
        await this.#handle.datasync();
        for (const { done } of batch) done();
      } catch (error) {
        for (const { failed } of batch) failed(writeError(this.#file, error));
      }
    }
    this.#writing = undefined;
  }

  /** Ends a line that was cut short, so that the next entry has one of its own. */
  async #endLine(): Promise<void> {
    const { size } = await this.#handle.stat();
    if (size === 0) return;
    const { buffer } = await this.#handle.read(Buffer.alloc(1), 0, 1, size - 1);
    if (buffer[0] !== 10) await writeFully(this.#handle, Buffer.from('\n'));
  }
}
