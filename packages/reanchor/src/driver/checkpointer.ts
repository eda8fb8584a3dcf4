import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../clock.js';
import { type Recipe, timeMs } from '../recipe/index.js';
import { bestCheckpoint, checkpointName, keepCheckpoints, type RunFolder, replaceCheckpoint } from '../runs/index.js';
import type { EvaluationMetrics } from './evaluations.js';
import { isDiskFull } from './faults.js';
import type { StepListener } from './step-listener.js';

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
  evaluations: readonly EvaluationMetrics[],
): BestCheckpoint | undefined {
  if (metric === undefined) return undefined;
  const found = bestCheckpoint(checkpoints, evaluations, metric);
  return found && { ...found, metric };
}

export interface CheckpointerOptions {
  folder: string;
  options: Recipe['checkpoint'];
  /** Those made so far, which say which checkpoint is the best. */
  evaluations: readonly EvaluationMetrics[];
  /** Writes the checkpoint of the present moment into a new folder. */
  write(path: string): Promise<void>;
  warn(message: string): void;
  clock: Pick<Clock, 'now'>;
}

/** The share of the time that goes into checkpoints by time at most. */
const mostShare = 1 / 20;

/** When checkpoints are written and which are kept, as a recipe says. */
export class Checkpointer implements StepListener {
  /** When the last one was whole, or the run began; and how long it took. */
  #lastAt: number;
  #lastMs = 0;

  constructor(private readonly options: CheckpointerOptions) {
    this.#lastAt = options.clock.now();
  }

  /**
   * Writes the checkpoint of a step if one is due. One by time is there in case something happens: where the disk has
   * no room for it the run goes on without. Errors: as {@link save}.
   */
  async onPause(step: number): Promise<void> {
    const { options, clock, warn } = this.options;
    if (!this.#isDue(step)) return;
    try {
      await this.save(step);
    } catch (error) {
      if (typeof options.every === 'number' || !isDiskFull(error)) throw error;
      this.#lastAt = clock.now();
      warn(`there is no checkpoint after step ${step}: ${(error as Error).message}. The run goes on without`);
    }
  }

  #isDue(step: number): boolean {
    const { every } = this.options.options;
    if (every === 'never') return false;
    if (typeof every === 'number') return step % every === 0;
    return this.options.clock.now() - this.#lastAt >= Math.max(timeMs(every), this.#lastMs / mostShare);
  }

  /**
   * Writes the checkpoint of a step, and when it is whole deletes those that are not kept. One that is there stays, or
   * with `replaces` makes room for it. Returns its folder. Errors: UserError when it cannot be written.
   */
  async save(step: number, { replaces = false } = {}): Promise<string> {
    const { folder, options, evaluations, write, clock } = this.options;
    const path = join(folder, checkpointName(step));
    const isThere = existsSync(path);
    if (isThere && !replaces) return path;
    const begun = clock.now();
    if (isThere) await replaceCheckpoint(path, write);
    else await write(path);
    const { keep, best } = options;
    const winner = best === undefined ? undefined : bestCheckpoint(folder, evaluations, best);
    await keepCheckpoints(folder, keep, winner === undefined ? [] : [winner.step]);
    this.#lastAt = clock.now();
    this.#lastMs = this.#lastAt - begun;
    return path;
  }
}
