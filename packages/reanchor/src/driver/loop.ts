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
  /** Looks after every step whether the run's files are where they were. Errors: those that end the run. */
  checkFiles(): void;
}

/** The steps of a run, from where its objects stand. */
export class RunLoop {
  constructor(private readonly options: RunLoopOptions) {}

  /**
   * Makes all steps that are left. Returns the folder of the checkpoint that was written when the signal was aborted;
   * undefined when the run is done. Errors: the signal's reason when it is aborted before there is something to save.
   */
  async run(): Promise<string | undefined> {
    const { trainer, plan, stop, listeners } = this.options;
    const { signal } = stop;
    try {
      signal?.throwIfAborted();
      for (const listener of listeners) await listener.onBegin?.(trainer.steps);
      for (const planned of plan.steps(trainer.steps + 1)) {
        for (const anchor of this.#anchors())
          await anchor.prepare(planned.step, { signal, onProgress: () => stop.agree() });
        this.#step(planned);
        await this.#pause(planned.step);
      }
      return undefined;
    } catch (error) {
      if (!signal?.aborted || error !== signal.reason) throw error;
      return await this.#saveAborted(error);
    } finally {
      for (const listener of listeners) await listener.onEnd?.(trainer.steps);
    }
  }

  /** Makes a step and tells of it. */
  #step(planned: StepPlan): void {
    const { reference, nonFinite, listeners } = this.options;
    const { step, epoch } = planned;
    const begun = performance.now();
    const taken = this.#take(planned);
    const metrics = { ...taken.metrics, ...nonFinite.metrics };
    if (reference) metrics['reference/version'] = reference.version;
    const outcome = { ...taken, step, epoch, metrics, milliseconds: performance.now() - begun };
    for (const listener of listeners) listener.onStep?.(outcome);
  }

  async #pause(step: number): Promise<void> {
    const { listeners, checkFiles, stop } = this.options;
    await setImmediate();
    checkFiles();
    stop.agree();
    stop.signal?.throwIfAborted();
    for (const listener of listeners) await listener.onPause?.(step);
  }

  #take(planned: StepPlan): Pick<StepOutcome, 'update' | 'drift' | 'metrics' | 'tokens'> {
    const { trainer, plan, nonFinite, listeners, emit } = this.options;
    if (nonFinite.leavesOut(planned.step)) return this.#takeNone(0);
    for (const listener of listeners) listener.beforeStep?.();
    const laidOut = recordFunction('lay out', () => plan.layOut(planned));
    const tokens = laidOut.reduce((n, { policy: packed }) => n + packed.tokens.length, 0);
    try {
      const result = recordFunction(`step ${planned.step}`, () => trainer.step(laidOut));
      nonFinite.onFiniteStep();
      return { ...result, metrics: stepMetrics(result, plan.objective), tokens };
    } catch (error) {
      if (!(error instanceof NonFiniteError)) throw error;
      emit({ type: 'warning', message: nonFinite.skip(error, planned) });
      return this.#takeNone(tokens);
    }
  }

  /** A step that leaves the policy as it is. */
  #takeNone(tokens: number): Pick<StepOutcome, 'update' | 'drift' | 'metrics' | 'tokens'> {
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
