import { setImmediate } from 'node:timers/promises';
import { span } from '@reanchor/torch';
import type { StepPlan } from '../data/index.js';
import type { Plan } from '../planning/plan.js';
import { haltMessage } from '../planning/warnings.js';
import type { ReferencePolicy } from '../reference/policy.js';
import type { NewRunEvent } from '../runs/index.js';
import { NonFiniteError } from '../train/finite.js';
import type { Metrics } from '../train/metrics.js';
import type { LoggedRow } from '../train/objectives/objective.js';
import { stepMetrics } from '../train/step-metrics.js';
import type { StepResult } from '../train/trainer-options.js';
import type { Checkpointer } from './checkpointer.js';
import type { RunEvaluations } from './evaluations.js';
import type { RunDivergences } from './non-finite-steps.js';
import type { StepProfiler } from './profiler.js';
import type { Stateful } from './snapshot.js';

export interface RunLoopOptions extends Stateful {
  plan: Plan;
  evaluations: RunEvaluations;
  divergences: RunDivergences;
  profiler: StepProfiler | undefined;
  signal: AbortSignal | undefined;
  emit(event: NewRunEvent): void;
  /** Looks after every step whether the run's files are where they were. Errors: those that end the run. */
  watch(): void;
}

/** A step that was made: what is to be written down of it. */
interface StepTaken extends Pick<StepResult<LoggedRow>, 'update' | 'drift'> {
  metrics: Metrics;
  tokens: number;
}

/** The steps of a run, from where its objects stand: train, log, evaluate, save. */
export class RunLoop {
  #isHalted: boolean;

  constructor(
    private readonly options: RunLoopOptions,
    /** Whether the evaluation after the last step made is still due. */
    public isEvaluationDue: boolean,
  ) {
    this.#isHalted = options.reference?.isHalted ?? false;
  }

  /**
   * Makes all steps that are left. Returns the folder of the checkpoint that was written when the signal was aborted;
   * undefined when the run is done. Errors: the signal's reason when it is aborted before there is something to save.
   */
  async go(checkpoints: Checkpointer): Promise<string | undefined> {
    const { trainer, signal, evaluations, plan, profiler, watch } = this.options;
    try {
      signal?.throwIfAborted();
      if (this.isEvaluationDue) await this.#evaluate();
      for (const planned of plan.steps(trainer.steps + 1)) {
        await this.#prepare(planned.step);
        await this.#step(planned);
        await setImmediate();
        watch();
        signal?.throwIfAborted();
        await this.#evaluate();
        await checkpoints.saveIfDue(planned.step, evaluations.results);
      }
      return undefined;
    } catch (error) {
      if (!signal?.aborted || error !== signal.reason) throw error;
      const isSweeping = this.#anchors().some(({ isPreparing }) => isPreparing);
      if (trainer.steps === 0 && !isSweeping) throw error;
      // What an interrupted sweep has come to is more than the checkpoint of the same step knows.
      return await checkpoints.save(trainer.steps, evaluations.results, { replaces: isSweeping });
    } finally {
      await profiler?.end();
      this.#flush();
    }
  }

  async #prepare(step: number): Promise<void> {
    for (const anchor of this.#anchors()) await anchor.prepare(step, { signal: this.options.signal });
  }

  #anchors(): ReferencePolicy[] {
    const { reference, initialPolicy } = this.options;
    return [reference, initialPolicy].filter((anchor) => anchor !== undefined);
  }

  /** Makes a step and writes it down. */
  async #step(planned: StepPlan): Promise<void> {
    const { reference, plan, divergences, profiler, log, emit } = this.options;
    const { step, epoch } = planned;
    const begun = performance.now();
    const { update, drift, tokens, ...taken } = this.#take(planned);
    this.isEvaluationDue = true;
    const { reference: section } = plan.recipe;
    if (update && section.update !== 'fixed') {
      const { version, share, distances } = update;
      const { before: distanceBefore, after: distanceAfter } = distances ?? {};
      emit({ type: 'reference', step, version, update: section.update, share, distanceBefore, distanceAfter });
    }
    if (reference?.isHalted && !this.#isHalted && 'maxDivergence' in section) {
      this.#isHalted = true;
      emit({ type: 'warning', message: haltMessage(step, drift!, section.maxDivergence!) });
    }
    const metrics = { ...taken.metrics, ...divergences.metrics };
    if (reference) metrics['reference/version'] = reference.version;
    await profiler?.afterStep();
    const logged = log.add(metrics, tokens, performance.now() - begun);
    if (logged) emit({ type: 'step', step, epoch, metrics: logged });
  }

  #take(planned: StepPlan): StepTaken {
    const { trainer, plan, divergences, profiler, emit } = this.options;
    if (divergences.leavesOut(planned.step)) return this.#takeNone(0);
    profiler?.beforeStep();
    const laidOut = span('lay out', () => plan.layOut(planned));
    const tokens = laidOut.reduce((n, { policy: packed }) => n + packed.tokens.length, 0);
    try {
      const result = span(`step ${planned.step}`, () => trainer.step(laidOut));
      divergences.onStep();
      return { ...result, metrics: stepMetrics(result, plan.objective), tokens };
    } catch (error) {
      if (!(error instanceof NonFiniteError)) throw error;
      emit({ type: 'warning', message: divergences.onDivergence(error, planned) });
      return this.#takeNone(tokens);
    }
  }

  /** A step that leaves the policy as it is. */
  #takeNone(tokens: number): StepTaken {
    const { update, distance } = this.options.trainer.endStep();
    const metrics: Metrics = distance === undefined ? {} : { 'reference/distance': distance };
    return { update, drift: undefined, metrics, tokens };
  }

  async #evaluate(): Promise<void> {
    const { evaluations, trainer, reference } = this.options;
    const accuracy = await evaluations.after(trainer.steps, reference);
    if (accuracy !== undefined) reference?.observe('accuracy', accuracy);
    this.isEvaluationDue = false;
  }

  /** Writes down the steps after the last full window. */
  #flush(): void {
    const { log, trainer, plan, emit } = this.options;
    const metrics = log.flush();
    if (!metrics) return;
    const { value } = plan.steps(trainer.steps).next();
    emit({ type: 'step', step: trainer.steps, epoch: value?.epoch ?? 0, metrics });
  }
}
