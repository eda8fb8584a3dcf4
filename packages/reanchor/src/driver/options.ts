import type { Device, ProcessGroup } from '@reanchor/torch';
import type { Clock } from '../clock.js';
import type { HubOptions } from '../hub/index.js';
import type { RecipeDataOptions } from '../planning/data.js';
import type { Recipe, RecipeInput } from '../recipe/index.js';
import type { RunEvent } from '../runs/index.js';
import type { BestCheckpoint } from './checkpointer.js';
import type { EvaluationMetrics, Probe } from './evaluations.js';

/** A run: its recipe, its folder, and who hears of it. */
export interface TrainOptions {
  /** What is trained, and how: keys with defaults may be left out. One that `readRecipe` has read is as good. */
  recipe: RecipeInput;
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
  /**
   * Hears every event as it is written to events.jsonl. A promise that it returns is waited for before the next step,
   * and one that is rejected ends the run.
   */
  onEvent?: ((event: RunEvent) => unknown) | undefined;
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

/** The options with a recipe that was checked and has its defaults. */
export interface CheckedOptions extends Omit<TrainOptions, 'recipe'> {
  recipe: Recipe;
}

/**
 * A run that has begun. Awaited it gives its result; iterated over it gives its events, as they are written to
 * events.jsonl:
 *
 *     const run = train({ recipe, out });
 *     for await (const event of run) if (event.type === 'step') console.log(event.step, event.metrics.loss);
 *     const { final } = await run;
 *
 * No step is made before the loop has asked for the event after the last one that there is: what is not read yet are
 * the events of one step at most, none is lost, and a slow loop makes a slow run. So the result is awaited after the
 * loop, not in it. Leaving the loop stops the run as `signal` does, with a checkpoint, and the statement ends when that
 * is written; an error of the run is thrown by the loop. The loop has to begin before the first event does: right
 * after the call. Of several processes that on rank 0 has the events, and the others have none.
 */
export interface TrainRun extends Promise<TrainResult>, AsyncIterable<RunEvent> {}

/** What a run came to. */
export interface TrainResult {
  /** The run folder. */
  folder: string;
  /** A model folder inside it: `final`, or after an abort the checkpoint from which the run can go on. */
  final: string;
  /** Whether the run is done: all steps were made, or `stop` of the recipe has ended it. */
  isFinished: boolean;
  /** Why the run ended before its last step, where `stop` of the recipe ended it. */
  stopped?: string | undefined;
  /** Optimizer steps taken. */
  steps: number;
  evaluations: EvaluationMetrics[];
  /** The checkpoint that is the best by `checkpoint.best` of the recipe, where it names a metric. */
  best?: BestCheckpoint | undefined;
}
