import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { type Device, nativeConfig } from '@reanchor/torch';
import { createRunFolder, type RunFolder, readRun, templateNow, writeRunInfo } from '../runs/index.js';
import type { CheckedOptions } from './options.js';
import type { LockedRun } from './resume.js';

/** The run folder: that of a run that is resumed, or one that is made when all else is known to be right. */
export class OutputFolder implements Disposable {
  readonly commits: Record<string, string> = {};
  /** Whether run.json is there and says what this process does. */
  #isWritten: boolean;

  constructor(
    readonly options: CheckedOptions,
    readonly device: Device,
    public locked: LockedRun | undefined,
    /** When the run began: chat templates tell this moment, also in a resumed run. */
    readonly now = locked?.from === undefined ? new Date() : templateNow(readRun(locked.folder.path).run),
  ) {
    this.#isWritten = locked?.from !== undefined;
  }

  /** Whether the run was stopped before its first step, once. */
  get beginsAgain(): boolean {
    return this.locked !== undefined && this.locked.from === undefined;
  }

  async open(sources: Readonly<Record<string, string>>): Promise<RunFolder> {
    if (!this.#isWritten) this.locked = await this.#begin(sources);
    this.#isWritten = true;
    return this.locked!.folder;
  }

  async #begin(sources: Readonly<Record<string, string>>): Promise<LockedRun> {
    const { recipe, out, command, world } = this.options;
    const run = {
      ...{ recipe, command, commits: this.commits, sources, time: this.now },
      ...{ torch: nativeConfig().compiledFor, device: this.device, processes: world?.world },
    };
    if (this.locked) {
      await writeRunInfo(out, run);
      return this.locked;
    }
    const { lock, ...folder } = await createRunFolder(out, run);
    return { folder, lock, from: undefined, notes: [] };
  }

  [Symbol.dispose](): void {
    this.locked?.lock[Symbol.dispose]();
  }
}

/** `path`, or the nearest folder above it that is there: where a new folder will be made. */
export function existingParent(path: string): string {
  let parent = path;
  while (!existsSync(parent)) parent = dirname(parent);
  return parent;
}
