import { setImmediate } from 'node:timers/promises';
import { span } from '@reanchor/torch';
import { type PlanOptions, planSteps, type RowPlace, type StepPlan } from '../data/index.js';
import { CachedReference } from '../reference/cached-reference.js';
import type { NewRunEvent, Recipe } from '../runs/index.js';
import type { Stateful } from './checkpoint.js';
import type { Checkpointer } from './checkpointer.js';
import { DivergenceError } from './divergence.js';
import { type Metrics, stepMetrics } from './metrics.js';
import type { LoggedRow, Objective } from './objectives/objective.js';
import type { StepProfiler } from './profiler.js';
import type { RunDivergences } from './run-divergences.js';
import type { RunEvaluations } from './run-evaluations.js';
import type { StepResult } from './trainer-options.js';
import { haltMessage } from './warnings.js';

export interface RunLoopOptions<Row extends RowPlace, Score extends LoggedRow> extends Stateful<Score> {
  recipe: Recipe;
  objective: Objective<Row, Score>;
  rows: readonly Row[];
  /** The packed tokens of each row. */
  lengths: readonly number[];
  plan: PlanOptions;
  evaluations: RunEvaluations<Row>;
  divergences: RunDivergences;
  profiler: StepProfiler | undefined;
  signal: AbortSignal | undefined;
  emit(event: NewRunEvent): void;
  /** Looks after every step whether the run's files are where they were. Errors: those that end the run. */
  watch(): void;
}

/** A step that was made: what is to be written down of it. */
interface StepTaken extends Pick<StepResult<LoggedRow>, 'update' | 'divergence'> {
  metrics: Metrics;
  tokens: number;
}

/** The steps of a run, from where its objects stand: train, log, evaluate, save. */
export class RunLoop<Row extends RowPlace, Score extends LoggedRow> {
  #isHalted: boolean;

  constructor(
    private readonly options: RunLoopOptions<Row, Score>,
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
    const { trainer, signal, evaluations, lengths, plan, profiler, watch } = this.options;
    try {
      signal?.throwIfAborted();
      if (this.isEvaluationDue) await this.#evaluate();
      for (const planned of planSteps(lengths, plan, trainer.steps + 1)) {
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
      const isSweeping = this.#cachedAnchors().some((anchor) => anchor.isSweeping);
      if (trainer.steps === 0 && !isSweeping) throw error;
      // What an interrupted sweep has come to is more than the checkpoint of the same step knows.
      return await checkpoints.save(trainer.steps, evaluations.results, { replaces: isSweeping });
    } finally {
      await profiler?.end();
      this.#flush();
    }
  }

  async #prepare(step: number): Promise<void> {
    for (const anchor of this.#cachedAnchors()) await anchor.prepare(step, { signal: this.options.signal });
  }

  #cachedAnchors(): CachedReference[] {
    const { reference, initialPolicy } = this.options;
    return [reference, initialPolicy].filter((anchor) => anchor instanceof CachedReference);
  }

  /** Makes a step and writes it down. */
  async #step(planned: StepPlan): Promise<void> {
    const { reference, recipe, divergences, profiler, log, emit } = this.options;
    const { step, epoch } = planned;
    const begun = performance.now();
    const { update, divergence, tokens, ...taken } = this.#take(planned);
    this.isEvaluationDue = true;
    const { reference: section } = recipe;
    if (update && section.update !== 'fixed') {
      const { version, share, distances } = update;
      const { before: distanceBefore, after: distanceAfter } = distances ?? {};
      emit({ type: 'reference', step, version, update: section.update, share, distanceBefore, distanceAfter });
    }
    if (reference?.isHalted && !this.#isHalted && 'maxDivergence' in section) {
      this.#isHalted = true;
      emit({ type: 'warning', message: haltMessage(step, divergence!, section.maxDivergence!) });
    }
    const metrics = { ...taken.metrics, ...divergences.metrics };
    if (reference) metrics['reference/version'] = reference.version;
    await profiler?.afterStep();
    const logged = log.add(metrics, tokens, performance.now() - begun);
    if (logged) emit({ type: 'step', step, epoch, metrics: logged });
  }

  #take(planned: StepPlan): StepTaken {
    const { trainer, objective, rows, divergences, profiler, emit } = this.options;
    if (divergences.leavesOut(planned.step)) return this.#takeNone(0);
    profiler?.beforeStep();
    const laidOut = span('lay out', () => objective.layOut(planned, rows));
    const tokens = laidOut.reduce((n, { policy: packed }) => n + packed.tokens.length, 0);
    try {
      const result = span(`step ${planned.step}`, () => trainer.step(laidOut));
      divergences.onStep();
      return { ...result, metrics: stepMetrics(result, objective), tokens };
    } catch (error) {
      if (!(error instanceof DivergenceError)) throw error;
      emit({ type: 'warning', message: divergences.onDivergence(error, planned) });
      return this.#takeNone(tokens);
    }
  }

  /** A step that leaves the policy as it is. */
  #takeNone(tokens: number): StepTaken {
    const { update, distance } = this.options.trainer.endStep();
    const metrics: Metrics = distance === undefined ? {} : { 'reference/distance': distance };
    return { update, divergence: undefined, metrics, tokens };
  }

  async #evaluate(): Promise<void> {
    const { evaluations, trainer, reference } = this.options;
    const accuracy = await evaluations.after(trainer.steps, reference);
    if (accuracy !== undefined) reference?.observe('accuracy', accuracy);
    this.isEvaluationDue = false;
  }

  /** Writes down the steps after the last full window. */
  #flush(): void {
    const { log, trainer, lengths, plan, emit } = this.options;
    const metrics = log.flush();
    if (!metrics) return;
    const { value } = planSteps(lengths, plan, trainer.steps).next();
    emit({ type: 'step', step: trainer.steps, epoch: value?.epoch ?? 0, metrics });
  }
}
