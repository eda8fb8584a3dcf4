import { setImmediate } from 'node:timers/promises';
import { recordFunction } from '@reanchor/torch';
import type { StepPlan } from '../data/index.js';
import type { AgreedStop } from '../parallel/agreed-stop.js';
import type { Plan } from '../planning/plan.js';
import type { ReferencePolicy } from '../reference/reference-policy.js';
import type { NewRunEvent } from '../runs/index.js';
import { NonFiniteError } from '../train/finite.js';
import type { Metrics } from '../train/metrics.js';
import { stepMetrics } from '../train/step-metrics.js';
import type { Checkpointer } from './checkpointer.js';
import type { NonFiniteSteps } from './non-finite-steps.js';
import type { Checkpointed } from './snapshot.js';
import type { StepListener, StepOutcome } from './step-listener.js';

export interface RunLoopOptions extends Pick<Checkpointed, 'reference' | 'initialPolicy'> {
  trainer: Pick<Checkpointed['trainer'], 'steps' | 'step' | 'endStep'>;
  plan: Pick<Plan, 'steps' | 'layOut' | 'objective'>;
  nonFinite: NonFiniteSteps;
  /** In the order in which they are called. */
  listeners: readonly StepListener[];
  /** Save the run when it is aborted. */
  checkpoints: Pick<Checkpointer, 'save'>;
  /** By which all processes of the run stop after the same step. */
  stop: Pick<AgreedStop, 'signal' | 'agree'>;
  emit(event: NewRunEvent): void;
  /** Whether the run ends now, before its last step. */
  endsEarly(): boolean;
  /** Waits until who listens is done with the events so far. Errors: theirs. */
  heard(): Promise<void>;
  /** Looks after every step whether the run's files are where they were. Errors: those that end the run. */
  checkFiles(): void;
}

/** What a step came to, and what is to be said of it. */
type Taken = Pick<StepOutcome, 'update' | 'drift' | 'metrics' | 'tokens'> & { warning?: string };

/** The steps of a run, from where its objects stand. */
export class RunLoop {
  constructor(private readonly options: RunLoopOptions) {}

  /**
   * Makes all steps that are left, or those until the run ends early. Returns the folder of the checkpoint that was
   * written when the signal was aborted; undefined when the run is done. Errors: the signal's reason when it is aborted
   * before there is something to save.
   */
  async run(): Promise<string | undefined> {
    const { trainer, plan, stop, listeners } = this.options;
    const { signal } = stop;
    try {
      signal?.throwIfAborted();
      for (const listener of listeners) await listener.onBegin?.(trainer.steps);
      for (const planned of plan.steps(trainer.steps + 1)) {
        await this.options.heard();
        signal?.throwIfAborted();
        if (this.options.endsEarly()) break;
        for (const anchor of this.#anchors())
          await anchor.prepare(planned.step, { signal, onProgress: () => stop.agree() });
        await this.#step(planned);
        stop.signal?.throwIfAborted();
        for (const listener of listeners) await listener.onPause?.(planned.step);
      }
      return undefined;
    } catch (error) {
      if (!signal?.aborted || error !== signal.reason) throw error;
      return await this.#saveAborted(error);
    } finally {
      for (const listener of listeners) await listener.onEnd?.(trainer.steps);
    }
  }

  /**
   * Makes a step and tells of it. Where that fails on rank 0, whose disk it is, the others stop as well, and are there
   * for a last checkpoint.
   */
  async #step(planned: StepPlan): Promise<void> {
    const { reference, nonFinite, stop } = this.options;
    const { step, epoch } = planned;
    const begun = performance.now();
    const { warning, ...taken } = this.#take(planned);
    const metrics = { ...taken.metrics, ...nonFinite.metrics };
    if (reference) metrics['reference/version'] = reference.version;
    const outcome = { ...taken, step, epoch, metrics, milliseconds: performance.now() - begun };
    let failure: { error: unknown } | undefined;
    try {
      await this.#tell(outcome, warning);
    } catch (error) {
      failure = { error };
    }
    stop.agree({ must: failure !== undefined });
    if (failure) throw failure.error;
  }

  async #tell(outcome: StepOutcome, warning: string | undefined): Promise<void> {
    const { listeners, checkFiles, emit, heard } = this.options;
    if (warning !== undefined) emit({ type: 'warning', message: warning });
    for (const listener of listeners) listener.onStep?.(outcome);
    await setImmediate();
    await heard();
    checkFiles();
  }

  #take(planned: StepPlan): Taken {
    const { trainer, plan, nonFinite, listeners } = this.options;
    if (nonFinite.leavesOut(planned.step)) return this.#takeNone(0);
    for (const listener of listeners) listener.beforeStep?.();
    const laidOut = recordFunction('lay out', () => plan.layOut(planned));
    const tokens = laidOut.reduce((n, { policy: packed, isFiller }) => n + (isFiller ? 0 : packed.tokens.length), 0);
    try {
      const result = recordFunction(`step ${planned.step}`, () => trainer.step(laidOut));
      nonFinite.onFiniteStep();
      return { ...result, metrics: stepMetrics(result, plan.objective), tokens };
    } catch (error) {
      if (!(error instanceof NonFiniteError)) throw error;
      const warning = nonFinite.skip(error, planned);
      return { ...this.#takeNone(tokens), warning };
    }
  }

  /** A step that leaves the policy as it is. */
  #takeNone(tokens: number): Taken {
    const { update, distance } = this.options.trainer.endStep();
    const metrics: Metrics = distance === undefined ? {} : { 'reference/distance': distance };
    return { update, drift: undefined, metrics, tokens };
  }

  /** Saves what an aborted run has come to. Errors: `reason`, where that is nothing yet. */
  async #saveAborted(reason: unknown): Promise<string> {
    const { trainer, checkpoints } = this.options;
    const isSweeping = this.#anchors().some(({ isPreparing }) => isPreparing);
    if (trainer.steps === 0 && !isSweeping) throw reason;
    // What an interrupted sweep has come to is more than the checkpoint of the same step knows.
    return await checkpoints.save(trainer.steps, { replaces: isSweeping });
  }

  #anchors(): ReferencePolicy[] {
    const { reference, initialPolicy } = this.options;
    return [reference, initialPolicy].filter((anchor) => anchor !== undefined);
  }
}
