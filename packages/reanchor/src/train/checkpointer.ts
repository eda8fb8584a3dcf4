import { existsSync } from 'node:fs';
import { join } from 'node:path';
import {
  bestCheckpoint,
  checkpointName,
  keepCheckpoints,
  type Recipe,
  type RunFolder,
  replaceCheckpoint,
} from '../runs/index.js';
import type { EvaluationResult } from './run-evaluations.js';

export interface BestCheckpoint {
  step: number;
  path: string;
  metric: string;
  value: number;
}

/** The best checkpoint that a run has. */
export function bestOf(
  { checkpoint: { best: metric } }: Recipe,
  { checkpoints }: RunFolder,
  evaluations: readonly EvaluationResult[],
): BestCheckpoint | undefined {
  if (metric === undefined) return undefined;
  const found = bestCheckpoint(checkpoints, evaluations, metric);
  return found && { ...found, metric };
}

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
   * Writes the checkpoint of a step, and when it is whole deletes those that are not kept. One that is there stays, or with
   * `replaces` makes room for it. `evaluations` say which is the best. Returns its folder. Errors: UserError when it cannot
   * be written.
   */
  async save(step: number, evaluations: readonly EvaluationResult[], { replaces = false } = {}): Promise<string> {
    const path = join(this.folder, checkpointName(step));
    const isThere = existsSync(path);
    if (isThere && !replaces) return path;
    if (isThere) await replaceCheckpoint(path, this.write);
    else await this.write(path);
    const { keep, best } = this.options;
    const winner = best === undefined ? undefined : bestCheckpoint(this.folder, evaluations, best);
    await keepCheckpoints(this.folder, keep, winner === undefined ? [] : [winner.step]);
    return path;
  }
}
