/** Appends events to `events.jsonl`, and mends what others do to that file meanwhile. */
import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
  writeSync,
} from 'node:fs';
import { basename, dirname } from 'node:path';
import { UserError } from '../errors.js';
import { openSync as openToRead, temporaryName, writeError } from '../formats/index.js';
import { encodeEvent, type NewRunEvent, type RunEvent } from './events.js';
import { freeName, isSame, lineEnd, pieces } from './open-files.js';

// A pipe that nobody reads is not waited for.
const appending = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | (constants.O_NONBLOCK ?? 0);

/** A file that is appended to. While it is open its content can be read, whatever becomes of its name. */
interface Opened {
  file: number;
  /** For reading; undefined of what is no regular file. */
  reader: number | undefined;
}

/** Appends events to a file, each handed to the operating system at once as one whole line. */
export class EventWriter implements Disposable {
  #path: string;
  #opened: Opened;
  /** The size of the file as this writer left it. */
  #bytes: number;
  /** What others did to the file, in sentences that nobody has been told yet. */
  #found: string[] = [];
  #hasFailed = false;
  #lines = 0;
  #step = 0;
  #saved: string[] = [];

  /** Opens the file, making it if needed. Errors: UserError when that fails. */
  constructor(path: string) {
    this.#path = path;
    this.#opened = openBoth(path);
    this.#bytes = fstatSync(this.#opened.file).size;
  }

  /** Where the file is. */
  get path(): string {
    return this.#path;
  }

  /**
   * Writes an event and returns it with its time (now). Errors: UserError when the disk is full or fails; the file
   * then ends with the last whole event.
   */
  write(event: NewRunEvent): RunEvent {
    const timed = { time: new Date().toISOString(), ...event } as RunEvent;
    const line = Buffer.from(`${encodeEvent(timed)}\n`);
    const { file } = this.#opened;
    let written = 0;
    try {
      this.#settleSize();
      while (written < line.length) written += writeSync(file, line, written);
    } catch (error) {
      this.#hasFailed = true;
      if (written > 0) ftruncateSync(file, fstatSync(file).size - written);
      throw this.#failure(error as NodeJS.ErrnoException);
    }
    this.#bytes += line.length;
    this.#lines += 1;
    if ('step' in timed) this.#step = timed.step;
    if (timed.type === 'saved') this.#saved.push(timed.folder);
    return timed;
  }

  /**
   * Looks for what others have done to the file. One that was deleted, or replaced, is put back whole; what took its
   * place is kept under another name. Of one that was cut, only what is written from now on can be kept. Returns what
   * is to be said of it, in sentences. Errors: UserError when the file cannot be put back.
   */
  settle(): string[] {
    try {
      this.#settleSize();
      this.#settleName();
    } catch (error) {
      throw writeError(this.#path, error);
    }
    const found = this.#found;
    this.#found = [];
    return found;
  }

  /**
   * Goes on in another file: the same one where it was moved, or a new one, into which what is written so far is
   * copied. Errors: UserError.
   */
  moveTo(path: string): void {
    const there = statSync(path, { throwIfNoEntry: false });
    if (there === undefined || !isSame(there, fstatSync(this.#opened.file))) this.#copyTo(path);
    this.#path = path;
  }

  /**
   * Cuts off the last line, if it is not whole: an earlier writer was cut off in the middle of it. Errors: the
   * system's.
   */
  dropTornLine(): void {
    const { file, reader } = this.#opened;
    if (reader === undefined) return;
    this.#bytes = lineEnd(reader, fstatSync(reader).size);
    ftruncateSync(file, this.#bytes);
  }

  /** Makes sure that all events are on the disk; returns the bytes of the file. Errors: UserError. */
  sync(): number {
    try {
      fsyncSync(this.#opened.file);
      return fstatSync(this.#opened.file).size;
    } catch (error) {
      throw writeError(this.#path, error);
    }
  }

  /** Makes sure that all events are on the disk, unless a write has failed already, and closes the file. */
  [Symbol.dispose](): void {
    try {
      if (!this.#hasFailed) fsyncSync(this.#opened.file);
    } finally {
      closeBoth(this.#opened);
    }
  }

  /** Cuts off a line that somebody has cut in the middle, and ends one that somebody has begun. */
  #settleSize(): void {
    const { file, reader } = this.#opened;
    if (reader === undefined) return;
    const { size } = fstatSync(file);
    if (size === this.#bytes) return;
    const name = basename(this.#path);
    if (size < this.#bytes) {
      this.#found.push(
        `${name} was cut by another process from ${this.#bytes} to ${size} bytes: the events that were there are lost, and those to come follow`,
      );
      this.dropTornLine();
      return;
    }
    this.#found.push(`another process has written ${size - this.#bytes} bytes into ${name}`);
    if (lineEnd(reader, size) < size) writeSync(file, '\n');
    this.#bytes = fstatSync(file).size;
  }

  #settleName(): void {
    const { file, reader } = this.#opened;
    if (reader === undefined) return;
    let there: Stats | undefined;
    try {
      there = statSync(this.#path, { throwIfNoEntry: false });
    } catch {
      // A disk that does not answer is told by the next write.
      return;
    }
    const held = fstatSync(file);
    // On some file systems a file has another number each time that it is looked at.
    if (there !== undefined && (isSame(there, held) || there.size === held.size)) return;
    const name = basename(this.#path);
    if (there === undefined) {
      this.#copyTo(this.#path);
      this.#found.push(`${name} was deleted, or moved, by another process: it is there again with all its events`);
      return;
    }
    const aside = freeName(`${this.#path}.replaced`);
    renameSync(this.#path, aside);
    this.#copyTo(this.#path);
    this.#found.push(
      `${name} was replaced by another process: it is there again with all its events, and what was in its place is now ${aside}`,
    );
  }

  /** Copies what is written so far into a new file, whole or not at all, and goes on there. */
  #copyTo(path: string): void {
    const { reader } = this.#opened;
    const temporary = temporaryName(path);
    const copy = openSync(temporary, 'wx', 0o666);
    try {
      if (reader !== undefined) copyInto(copy, reader);
      fsyncSync(copy);
      renameSync(temporary, path);
    } catch (error) {
      rmSync(temporary, { force: true });
      throw error;
    } finally {
      closeSync(copy);
    }
    const opened = openBoth(path);
    closeBoth(this.#opened);
    this.#opened = opened;
    this.#bytes = fstatSync(opened.file).size;
    this.#hasFailed = false;
  }

  #failure(error: NodeJS.ErrnoException): UserError {
    const isFull = error.code === 'ENOSPC' || error.code === 'EDQUOT';
    const what = isFull ? `the disk is full (${error.code})` : error.message;
    const saved = this.#saved.length > 0 ? `the whole folders ${this.#saved.join(', ')}` : 'no model yet';
    const next = isFull ? `free space under ${dirname(this.#path)}, or name a run folder elsewhere` : 'mend that';
    return new UserError(
      `${this.#path} cannot be written: ${what}; ${this.#lines} events up to step ${this.#step} are safely written, and ` +
        `${saved}; ${next}, and start the run again`,
      { cause: error },
    );
  }
}

function openBoth(path: string): Opened {
  let file: number | undefined;
  try {
    file = openSync(path, appending, 0o666);
    return { file, reader: fstatSync(file).isFile() ? openToRead(path) : undefined };
  } catch (error) {
    if (file !== undefined) closeSync(file);
    throw writeError(path, error);
  }
}

function closeBoth({ file, reader }: Opened): void {
  closeSync(file);
  if (reader !== undefined) closeSync(reader);
}

/** Copies an open file from its beginning. */
function copyInto(copy: number, source: number): void {
  for (const piece of pieces(source, 0, Number.POSITIVE_INFINITY)) {
    for (let written = 0; written < piece.length; ) written += writeSync(copy, piece, written);
  }
}
