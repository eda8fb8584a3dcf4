import type { Device, ProcessGroup } from '@reanchor/torch';
import type { Clock } from '../clock.js';
import type { HubOptions } from '../hub/index.js';
import type { RecipeDataOptions } from '../planning/data.js';
import type { Recipe } from '../recipe/index.js';
import type { RunEvent } from '../runs/index.js';
import type { BestCheckpoint } from './checkpointer.js';
import type { EvaluationMetrics, Probe } from './evaluations.js';

export interface TrainOptions {
  recipe: Recipe;
  /**
   * The run folder to be made; it must not exist yet, or be empty. With `resume` the folder of the run that goes on.
   */
  out: string;
  /**
   * Goes on with the run in `out` from its newest checkpoint that is whole, to the same bits as if it had not been
   * interrupted. A run that is finished is left as it is; one that was stopped before its first step begins anew.
   */
  resume?: boolean | undefined;
  /** The command and its arguments, for run.json, where a command line began the run; errors then name its flags. */
  command?: readonly string[] | undefined;
  /** Hears every event as it is written to events.jsonl. */
  onEvent?: ((event: RunEvent) => void) | undefined;
  /** Ends the run after the step or evaluation batch that is being computed; a checkpoint is then written. */
  signal?: AbortSignal | undefined;
  /** Hears how far a download from the Hub is. */
  onDownload?: HubOptions['onDownload'];
  /** Hears how far the reading of rows is, where they are not in the cache. */
  onReading?: RecipeDataOptions['onReading'];
  /** Measures the policy besides the recipe's evaluations: before the run, after every n steps, and after the last. */
  probe?: Probe | undefined;
  /** By which checkpoints by time are due, and waits are made; the system's when left out. */
  clock?: Clock | undefined;
  /**
   * The processes that make the run together, each with the same options and a group of its own: rank 0 writes the run
   * folder, and the others, which hear its name from it, compute their share of each step. Default: this process alone.
   */
  world?: ProcessGroup | undefined;
  /** The device of this process, where the recipe's names one for all; see {@link openWorld}. */
  device?: Device | undefined;
  /** A file for a Chrome trace of the operators and spans of a few steps, from the second one on. */
  profile?: string | undefined;
}

export interface TrainResult {
  /** The run folder. */
  folder: string;
  /** A model folder inside it: `final`, or after an abort the checkpoint from which the run can go on. */
  final: string;
  /** Whether all steps were made. */
  isFinished: boolean;
  /** Optimizer steps taken. */
  steps: number;
  evaluations: EvaluationMetrics[];
  /** The checkpoint that is the best by `checkpoint.best` of the recipe, where it names a metric. */
  best?: BestCheckpoint | undefined;
}
