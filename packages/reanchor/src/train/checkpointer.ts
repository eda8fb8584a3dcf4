import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { bestStep, checkpointName, keepCheckpoints, listCheckpoints, type Recipe } from '../runs/index.js';
import type { EvaluationResult } from './run-evaluations.js';

/** When checkpoints are written and which are kept, as a recipe says. */
export class Checkpointer {
  constructor(
    readonly folder: string,
    readonly options: Recipe['checkpoint'],
    /** Writes the checkpoint of the present moment into a new folder. */
    readonly write: (path: string) => Promise<void>,
  ) {}

  /** Whether one is due after a step. */
  isDue(step: number): boolean {
    return this.options.every !== undefined && step % this.options.every === 0;
  }

  /**
   * Writes the checkpoint of a step, unless it is there, and when it is whole deletes those that are not kept.
   * `evaluations` say which is the best. Returns its folder. Errors: UserError when it cannot be written.
   */
  async save(step: number, evaluations: readonly EvaluationResult[]): Promise<string> {
    const path = join(this.folder, checkpointName(step));
    if (existsSync(path)) return path;
    await this.write(path);
    const { keep, best } = this.options;
    const there = listCheckpoints(this.folder).map((found) => found.step);
    const winner = best === undefined ? undefined : bestStep(evaluations, best, there);
    await keepCheckpoints(this.folder, keep, winner === undefined ? [] : [winner]);
    return path;
  }
}
