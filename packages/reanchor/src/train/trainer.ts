// Shapes: S sequences that the policy is trained on, R rows of data.
import { cat, recordFunction, type Tensor, tidy } from '@reanchor/torch';
import type { MicroBatch } from '../data/index.js';
import { sequenceLogprobs } from '../models/causal-lm.js';
import { Recompute } from '../nn/recompute.js';
import { spanBatch } from '../nn/spans.js';
import { mean } from '../stats/index.js';
import { referenceDrifts } from './drift.js';
import { requireFinite } from './finite.js';
import { knownBatch, logprobsWithoutGradient } from './known-batch.js';
import type { LoggedRow } from './objectives/objective.js';
import { scoresOf } from './objectives/scores.js';
import { SelfChecks } from './self-checks.js';
import type { StepResult, TrainerOptions, TrainerState } from './trainer-options.js';

/**
 * Training, one optimizer step at a time, in the order of TRL: micro-batches forward and backward, clip, optimizer,
 * schedule, zero the gradients, count the step, move the reference if due. The loss of a step is the mean over all its
 * rows (of SFT: tokens), however they are cut into micro-batches.
 */
export class Trainer<Row, Score extends LoggedRow> implements Disposable {
  readonly #options: TrainerOptions<Row, Score>;
  readonly #checks: SelfChecks | undefined;
  #steps = 0;
  /** Of each completion of the step at hand, where a cap on them is set. */
  #drifts: number[] = [];

  constructor(options: TrainerOptions<Row, Score>) {
    this.#options = options;
    const { plan, weights, reference } = options;
    weights.requireGradients();
    const { scoresSameBatch } = plan.objective;
    this.#checks = reference && new SelfChecks(reference, { scoresSameBatch, dtype: weights.model.dtype });
  }

  /** Optimizer steps taken. */
  get steps(): number {
    return this.#steps;
  }

  /** One optimizer step on these micro-batches. Errors: UserError when the run diverges; SelfCheckError; libtorch's. */
  step(microBatches: readonly MicroBatch[]): StepResult<Score> {
    const { plan, weights, reference, optimizer, schedule } = this.#options;
    const { objective, maxGradNorm } = plan;
    const step = this.#steps + 1;
    const weight = microBatches.reduce((sum, batch) => sum + objective.weight(batch), 0);
    this.#drifts = [];
    const coupled = objective.over === 'step' ? [microBatches] : microBatches.map((batch) => [batch]);
    const scores = coupled.flatMap((batches) => tidy(() => this.#accumulate(batches, weight)));
    const metrics = objective.metrics(scores);
    requireFinite(step, 'the loss', metrics.loss!, { scores });
    this.#checks?.scores(step, objective, scores);
    const gradNorm = recordFunction('clip', () => weights.clipGradients(maxGradNorm));
    requireFinite(step, "the gradient's norm", gradNorm);
    const drift = this.#drifts.length > 0 ? mean(this.#drifts) : undefined;
    if (drift !== undefined) reference?.observe('drift', drift);
    const learningRate = schedule(this.#steps);
    recordFunction('optimizer', () => optimizer.step(learningRate));
    recordFunction('publish weights', () => weights.publish());
    if (metrics['rewards/margins'] !== undefined) reference?.observe('margin', metrics['rewards/margins']);
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
    const distance = update?.distances?.after ?? recordFunction('reference distance', () => reference?.distance());
    requireFinite(step, 'the distance of policy and reference', distance ?? 0, { isUpdateMade: true });
    recordFunction('self-checks', () => this.#checks?.afterStep(step, update));
    return { step, update, distance };
  }

  /** The optimizer's tensors by name, into which a checkpoint's are copied. */
  get optimizerState(): Map<string, Tensor> {
    return this.#options.optimizer.state(this.#options.weights.trained);
  }

  state(): TrainerState {
    return { step: this.#steps, areModelsEqual: this.#checks?.areModelsEqual ?? false };
  }

  restore({ step, areModelsEqual }: TrainerState): void {
    this.#steps = step;
    if (this.#checks) this.#checks.areModelsEqual = areModelsEqual;
  }

  /** Adds the gradient of (sum of the losses of these micro-batches' rows) / weight. */
  #accumulate(microBatches: readonly MicroBatch[], weight: number): Score[] {
    const { plan, weights, reference, initial } = this.#options;
    const { objective } = plan;
    const known = microBatches.map((batch) => knownBatch(batch, { policy: weights.model, reference }));
    if (initial) this.#drifts.push(...referenceDrifts(known, initial));
    if (!objective.couplesRows || known.length === 1) {
      return known.flatMap((batch) =>
        this.#forward(batch.microBatch, (policy_S) => {
          const { loss_R, columns } = objective.losses(policy_S, [batch], known);
          recordFunction('backward', () => loss_R.sum().div(weight).backward());
          return scoresOf<Score>(columns);
        }),
      );
    }
    // The losses of all rows first, from log-probabilities alone; then the gradient of each goes through the network.
    const leaves = known.map(({ microBatch }) => logprobsWithoutGradient(weights.model, microBatch.policy));
    for (const leaf of leaves) leaf.requiresGrad = true;
    const { loss_R, columns } = objective.losses(cat(leaves), known, known);
    loss_R.sum().div(weight).backward();
    for (const [i, { microBatch }] of known.entries()) {
      this.#forward(microBatch, (policy_S) => recordFunction('backward', () => policy_S.backward(leaves[i]!.grad!)));
    }
    return scoresOf<Score>(columns);
  }

  /** What `use` makes of the policy's log-probabilities; it runs the backward pass. */
  #forward<T>(microBatch: MicroBatch, use: (policy_S: Tensor) => T): T {
    const { plan, weights } = this.#options;
    return tidy(() => {
      const recompute = plan.activationCheckpointing ? new Recompute() : undefined;
      const result = use(
        recordFunction('forward', () =>
          sequenceLogprobs(weights.model, { ...spanBatch(microBatch.policy, weights.model), recompute }),
        ),
      );
      recompute?.backward();
      weights.collect();
      return result;
    });
  }

  [Symbol.dispose](): void {
    this.#options.optimizer[Symbol.dispose]();
  }
}
