/** Results of long work, kept a line each as they come, so that work that was stopped goes on where it was. */
import { type FileHandle, open, rm, truncate } from 'node:fs/promises';
import { isDeepStrictEqual } from 'node:util';
import { FormatError, UserError } from '../errors.js';
import { writeError, writeFully } from './atomic.js';
import { exactJson, parseExactJson } from './exact-json.js';
import { readFile } from './regular-file.js';

/** What the work is: what decides its results, by names that a message can say. */
export type JournalHead = Readonly<Record<string, unknown>>;

/**
 * A JSONL file whose first line is the head of the work and the others its results in the order they came, with numbers
 * as `exactJson` keeps them. A line is written at once; one that was cut when the process was killed is dropped.
 */
export class Journal {
  private constructor(
    readonly path: string,
    private readonly handle: FileHandle,
    /** The results of earlier, which the work need not make again. */
    readonly earlier: readonly unknown[],
  ) {}

  /**
   * Begins a journal, or goes on with the one that is there. Errors: UserError when that is of other work, saying what
   * differs, or cannot be written; FormatError when it is no journal.
   */
  static async open(path: string, head: JournalHead): Promise<Journal> {
    const given = JSON.parse(JSON.stringify(head)) as JournalHead;
    const content = await readFile(path, undefined, Number.POSITIVE_INFINITY).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return Buffer.alloc(0);
      throw writeError(path, error);
    });
    const whole = content.lastIndexOf(10) + 1;
    const lines = content.subarray(0, whole).toString('utf8').split('\n').slice(0, -1);
    const [found, ...earlier] = lines.map((line, i) => parse(line, path, i + 1));
    if (found !== undefined) requireSame(found, given, path);
    try {
      if (whole < content.length) await truncate(path, whole);
      const journal = new Journal(path, await open(path, 'a'), earlier);
      if (found === undefined) await journal.add(given);
      return journal;
    } catch (error) {
      throw writeError(path, error);
    }
  }

  async add(result: unknown): Promise<void> {
    try {
      await writeFully(this.handle, Buffer.from(`${exactJson(result)}\n`));
    } catch (error) {
      throw writeError(this.path, error);
    }
  }

  async close(): Promise<void> {
    await this.handle.close();
  }

  /** Ends the work: what was kept is elsewhere by now. */
  async remove(): Promise<void> {
    await this.close();
    await rm(this.path, { force: true });
  }
}

function parse(line: string, file: string, number: number): unknown {
  try {
    return parseExactJson(line);
  } catch (cause) {
    throw new FormatError('not JSON: move the file away to begin anew', { file, where: String(number), cause });
  }
}

function requireSame(found: unknown, given: JournalHead, path: string): void {
  const before = (typeof found === 'object' && found !== null ? found : {}) as JournalHead;
  const names = [...new Set([...Object.keys(before), ...Object.keys(given)])];
  const different = names.filter((name) => !isDeepStrictEqual(before[name], given[name]));
  if (different.length === 0) return;
  const told = different
    .slice(0, 10)
    .map((name) => name.slice(0, 60))
    .join(', ');
  throw new UserError(
    `${path} holds what other work has done so far (different: ${told}): repeat that to finish it, or move the file away`,
  );
}
