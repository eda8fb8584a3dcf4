/** A run folder that is held open while its run goes on, so that it is noticed when it is moved or deleted. */
import { closeSync, constants, fstatSync, openSync, readlinkSync, type Stats, statSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../errors.js';
import { readFileSync, writeError } from '../formats/index.js';
import { type RunFolder, runFolder } from './folder.js';
import { holdsLock, releaseLock } from './lock.js';
import { isSame } from './open-files.js';

/** A run folder is not where it was. */
export class LostFolder extends UserError {
  override name = 'LostFolder';

  /** `movedTo` is where it is now; undefined where it is nowhere, or cannot be found. */
  constructor(
    readonly path: string,
    readonly movedTo: RunFolder | undefined,
  ) {
    const what = movedTo ? `was moved to ${movedTo.path}` : 'was deleted, or is another one now';
    super(`the run folder ${path} ${what} while the run went on`);
  }
}

/** A run folder that is found again where it was renamed, by the handle of its record. */
export class HeldFolder implements Disposable {
  readonly #handle: number;
  readonly #first: Stats;
  /** Of run.json. */
  readonly info: string;
  /** Where it was found at last. */
  #path: string;

  /** Errors: UserError. */
  constructor(readonly folder: RunFolder) {
    this.#path = folder.path;
    try {
      this.info = readFileSync(join(folder.path, 'run.json'), 'utf8');
      this.#handle = openSync(folder.path, constants.O_RDONLY | constants.O_DIRECTORY);
      this.#first = fstatSync(this.#handle);
    } catch (error) {
      throw writeError(folder.path, error);
    }
  }

  /**
   * Makes sure that the folder is where it was. What cannot be told now, such as of a disk that does not answer, is
   * told by the next write. Errors: LostFolder.
   */
  check(): void {
    const { path } = this.folder;
    let there: Stats | undefined;
    try {
      there = statSync(path, { throwIfNoEntry: false });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOTDIR') return;
    }
    if (there !== undefined && isSame(there, this.#first)) return;
    // On some file systems a folder has another number each time that it is looked at.
    if (there !== undefined && holdsLock(path)) return;
    const movedTo = this.#place();
    if (movedTo === path) return;
    if (movedTo !== undefined) this.#path = movedTo;
    throw new LostFolder(path, movedTo === undefined ? undefined : runFolder(movedTo));
  }

  /** Where the folder is now, as far as the system tells. */
  #place(): string | undefined {
    try {
      const path = readlinkSync(`/proc/self/fd/${this.#handle}`);
      const there = statSync(path, { throwIfNoEntry: false });
      return there !== undefined && isSame(there, fstatSync(this.#handle)) ? path : undefined;
    } catch {
      return undefined;
    }
  }

  /** Lets go of the folder. A lock that was moved with it is released: nobody else knows where it is. */
  [Symbol.dispose](): void {
    closeSync(this.#handle);
    if (this.#path !== this.folder.path) releaseLock(this.#path);
  }
}
