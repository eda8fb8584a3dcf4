import type { Metrics } from '../train/metrics.js';
import type { LoggedRow } from '../train/objectives/objective.js';
import type { StepResult } from '../train/trainer-options.js';

/** What came of a step: of one that left the policy as it was, too. */
export interface StepOutcome extends Pick<StepResult<LoggedRow>, 'update' | 'drift'> {
  /** The optimizer steps taken, this one included. */
  step: number;
  epoch: number;
  metrics: Metrics;
  /** The packed tokens that were computed. */
  tokens: number;
  milliseconds: number;
}

/** Follows the steps of a run: it logs, measures or saves. The listeners of a run are called one after the other. */
export interface StepListener {
  /** Before the first step; `step` are those that an earlier process took. */
  onBegin?(step: number): Promise<void>;
  /** Before a step is computed. One that is left out is not. */
  beforeStep?(): void;
  /** Right after every step. */
  onStep?(outcome: StepOutcome): void;
  /** Between a step and the next, and after the last; not where the run is aborted meanwhile. */
  onPause?(step: number): Promise<void>;
  /** When no more steps are made, whatever the reason. */
  onEnd?(step: number): Promise<void>;
}
