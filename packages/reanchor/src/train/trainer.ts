import { recordFunction } from '@reanchor/torch';
import type { MicroBatch } from '../data/index.js';
import { mean } from '../stats/index.js';
import { AdapterWeights } from '../weights/adapter-weights.js';
import type { SaveRequest } from '../weights/weights.js';
import { requireFinite } from './finite.js';
import type { LoggedRow } from './objectives/objective.js';
import { requireMoved, SelfChecks } from './self-checks.js';
import { StepGradients } from './step-gradients.js';
import type { StepResult, TrainerOptions, TrainerState } from './trainer-options.js';

/**
 * Training, one optimizer step at a time, in the order of TRL: micro-batches forward and backward, clip, optimizer,
 * schedule, zero the gradients, count the step, move the reference if due. The loss of a step is the mean over all its
 * rows (of SFT: tokens), however they are cut into micro-batches and whichever process computes them.
 */
export class Trainer<Row, Score extends LoggedRow> implements Disposable {
  readonly #options: TrainerOptions<Row, Score>;
  readonly #checks: SelfChecks | undefined;
  readonly #gradients: StepGradients<Row, Score>;
  #steps = 0;

  constructor(options: TrainerOptions<Row, Score>) {
    this.#options = options;
    this.#gradients = new StepGradients(options);
    const { plan, weights, reference } = options;
    weights.requireGradients();
    const { scoresSameBatch } = plan.objective;
    const { dtype } = weights.model;
    this.#checks =
      reference && new SelfChecks(reference, { scoresSameBatch, dtype, hasDropout: plan.dropout !== undefined });
  }

  /** Optimizer steps taken. */
  get steps(): number {
    return this.#steps;
  }

  /**
   * One optimizer step on these micro-batches, those of all processes. Errors: UserError when the run diverges;
   * SelfCheckError; libtorch's.
   */
  step(microBatches: readonly MicroBatch[]): StepResult<Score> {
    const { plan, weights, reference, optimizer, schedule } = this.#options;
    const { objective, maxGradNorm } = plan;
    const step = this.#steps + 1;
    const { scores, drifts } = this.#gradients.accumulate(microBatches, step);
    const metrics = objective.metrics(scores);
    requireFinite(step, 'the loss', metrics.loss!, { scores });
    this.#checks?.scores(step, objective, scores);
    recordFunction('sum gradients', () => weights.sumGradients());
    const gradNorm = recordFunction('clip', () => weights.clipGradients(maxGradNorm));
    requireFinite(step, "the gradient's norm", gradNorm);
    const drift = drifts.length > 0 ? mean(drifts) : undefined;
    if (drift !== undefined) reference?.observe('drift', drift);
    if (metrics['rewards/margins'] !== undefined) reference?.observe('margin', metrics['rewards/margins']);
    reference?.beforeStep(step);
    const learningRate = schedule(this.#steps);
    // Before the second step, as the first may have a rate of 0, and leaves A of an adapter where it is.
    const before = step === 2 && weights instanceof AdapterWeights ? weights.checksums() : undefined;
    recordFunction('optimizer', () => optimizer.step(learningRate));
    if (before && gradNorm > 0) requireMoved(step, learningRate, { before, after: weights.checksums() });
    recordFunction('publish weights', () => weights.publish());
    return { ...this.endStep(), scores, gradNorm, learningRate, drift };
  }

  /**
   * Ends a step: counts it and moves the reference if that is due. Alone it is a step that leaves the policy as it is.
   */
  endStep(): Pick<StepResult<Score>, 'step' | 'update' | 'distance'> {
    const { plan, weights, reference, optimizer } = this.#options;
    weights.clearGradients();
    this.#steps += 1;
    const step = this.#steps;
    const update = recordFunction('reference update', () => reference?.afterStep(step));
    if (update?.share === 1 && plan.resetOptimizer) optimizer.reset();
    const { effective, after } = update?.distances ?? {};
    const distance = effective?.after ?? after ?? recordFunction('reference distance', () => reference?.distance());
    requireFinite(step, 'the distance of policy and reference', distance ?? 0, { isUpdateMade: true });
    recordFunction('self-checks', () => this.#checks?.afterStep(step, update));
    return { step, update, distance };
  }

  /** Writes the optimizer's state, see {@link ModelWeights.saveOptimizer}. Errors: UserError. */
  saveOptimizer(file: string, options: { isSeenByAll: boolean }): Promise<ReadonlyMap<string, string>> {
    return this.#options.weights.saveOptimizer(file, this.#options.optimizer, options);
  }

  /** Does this process's part where rank 0 saves divided weights. */
  async takePart({ of, ...request }: SaveRequest): Promise<void> {
    const { weights, reference, optimizer } = this.#options;
    await (of === 'policy' ? weights.takePart(request, optimizer) : reference?.takePart());
  }

  /** Goes on with a state that was written. Errors: FormatError. */
  restoreOptimizer(file: string): Promise<void> {
    return this.#options.weights.restoreOptimizer(file, this.#options.optimizer);
  }

  state(): TrainerState {
    return { step: this.#steps, areModelsEqual: this.#checks?.areModelsEqual ?? false };
  }

  restore({ step, areModelsEqual }: TrainerState): void {
    this.#steps = step;
    if (this.#checks) this.#checks.areModelsEqual = areModelsEqual;
  }

  [Symbol.dispose](): void {
    this.#options.optimizer[Symbol.dispose]();
  }
}
