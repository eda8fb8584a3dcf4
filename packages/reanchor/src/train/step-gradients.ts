// Shapes: S sequences that the policy is trained on, R rows of data.
import { cat, ProcessGroup, recordFunction, type Tensor, tidy } from '@reanchor/torch';
import type { MicroBatch } from '../data/index.js';
import { sequenceLogprobs } from '../models/causal-lm.js';
import { type Dropout, withDropout } from '../nn/dropout.js';
import { Segments } from '../nn/segments.js';
import { spanBatch } from '../nn/spans.js';
import { pieces } from '../parallel/exchange.js';
import { uniforms } from '../random.js';
import { referenceDrifts } from './drift.js';
import { knownBatch, logprobsWithoutGradient } from './known-batch.js';
import type { KnownBatch, LoggedRow } from './objectives/objective.js';
import { scoresOf } from './objectives/scores.js';
import { type Computed, SharedStep } from './shared-step.js';
import type { TrainerOptions } from './trainer-options.js';

/** Micro-batches whose losses are computed together, and passes of this process that count nothing. */
interface StepPart {
  batches: readonly MicroBatch[];
  fillers: readonly MicroBatch[];
}

/** The forward and backward passes of a step, this process's share of them. */
export class StepGradients<Row, Score extends LoggedRow> {
  readonly #options: TrainerOptions<Row, Score>;
  readonly #shared: SharedStep<Row, Score>;
  #step = 1;
  /** The number of each micro-batch in the step. */
  #places: ReadonlyMap<MicroBatch, number> = new Map();

  constructor(options: TrainerOptions<Row, Score>) {
    const { plan, initial, world = ProcessGroup.alone() } = options;
    this.#options = options;
    this.#shared = new SharedStep(world, plan.objective, initial !== undefined);
  }

  /**
   * Leaves the gradient of a step's loss, the mean over its rows, at the weights; returns what was computed of the
   * rows, those of all processes.
   */
  accumulate(microBatches: readonly MicroBatch[], step = 1): Computed<Score> {
    this.#step = step;
    this.#places = new Map(microBatches.map((batch, i) => [batch, i]));
    const { objective } = this.#options.plan;
    const counted = microBatches.filter(({ isFiller }) => !isFiller);
    const fillers = microBatches.filter((batch) => batch.isFiller && this.#shared.isOwn(batch));
    const weight = counted.reduce((sum, batch) => sum + objective.weight(batch), 0);
    const coupled =
      objective.over === 'step'
        ? [{ batches: counted, fillers }]
        : [...counted.map((one) => ({ batches: [one], fillers: [] })), { batches: [], fillers }];
    const own = coupled.flatMap((part) => tidy(() => this.#accumulate(part, weight)));
    return this.#shared.computed(counted, own);
  }

  /**
   * Adds the gradient of (sum of the losses of these micro-batches' rows) / weight, as far as they are this process's;
   * of others it returns undefined.
   */
  #accumulate({ batches, fillers }: StepPart, weight: number): (Computed<Score> | undefined)[] {
    const { plan, weights, reference, initial } = this.#options;
    const { objective } = plan;
    const { model } = weights;
    const know = (batch: MicroBatch) => knownBatch(batch, { policy: model, reference });
    const own = batches.map((batch) => (this.#shared.isOwn(batch) ? know(batch) : undefined));
    fillers.forEach(know);
    // A loss over a micro-batch asks for no numbers of others.
    const isOverStep = objective.over === 'step';
    const known = isOverStep ? this.#shared.known(batches, own, model.device) : own.filter((one) => one !== undefined);
    const scores =
      isOverStep && objective.couplesRows && known.length > 1
        ? this.#coupledScores({ batches, fillers }, known, weight)
        : own.map((batch) => batch && this.#scores(batch, known, weight));
    for (const filler of fillers) this.#forward(filler, (policy_S) => policy_S.sum().mul(0).backward());
    return own.map((batch, i) => {
      return batch && { scores: scores[i]!, drifts: initial ? referenceDrifts([batch], initial) : [] };
    });
  }

  /** One micro-batch forward and backward. */
  #scores(batch: KnownBatch, known: readonly KnownBatch[], weight: number): Score[] {
    const { objective } = this.#options.plan;
    return this.#forward(batch.microBatch, (policy_S) => {
      const { loss_R, columns } = objective.losses(policy_S, [batch], known);
      recordFunction('backward', () => loss_R.sum().div(weight).backward());
      return scoresOf<Score>(columns);
    });
  }

  /**
   * The losses of all rows first, from log-probabilities alone; then the gradient of each goes through the network.
   */
  #coupledScores({ batches, fillers }: StepPart, known: readonly KnownBatch[], weight: number): Score[][] {
    const { plan, weights } = this.#options;
    const { objective } = plan;
    const { model } = weights;
    const own = batches.map((batch) =>
      this.#shared.isOwn(batch)
        ? withDropout(this.#dropout(batch), () => logprobsWithoutGradient(model, batch.policy))
        : undefined,
    );
    for (const filler of fillers) logprobsWithoutGradient(model, filler.policy);
    const leaves = this.#shared.logprobs(batches, own, model.device);
    for (const leaf of leaves) leaf.requiresGrad = true;
    const { loss_R, columns } = objective.losses(cat(leaves), known, known);
    loss_R.sum().div(weight).backward();
    for (const [i, batch] of batches.entries()) {
      if (!this.#shared.isOwn(batch)) continue;
      this.#forward(batch, (policy_S) => recordFunction('backward', () => policy_S.backward(leaves[i]!.grad!)));
    }
    return pieces(scoresOf<Score>(columns), batches.map(objective.rowsOf));
  }

  /** What `use` makes of the policy's log-probabilities; it runs the backward pass. */
  #forward<T>(microBatch: MicroBatch, use: (policy_S: Tensor) => T): T {
    return withDropout(this.#dropout(microBatch), () => tidy(() => this.#pass(microBatch, use)));
  }

  /** What is left out in the passes of a micro-batch. */
  #dropout(microBatch: MicroBatch): Dropout | undefined {
    const { dropout } = this.#options.plan;
    if (!dropout) return undefined;
    const next = uniforms(dropout.seed, this.#step, this.#places.get(microBatch) ?? 0);
    return { ...dropout, seed: Math.floor(next() * 2 ** 32) };
  }

  #pass<T>(microBatch: MicroBatch, use: (policy_S: Tensor) => T): T {
    const { plan, weights } = this.#options;
    const { model } = weights;
    const recompute = plan.activationCheckpointing === true;
    const isWalked = recompute || model.residency !== undefined;
    const segments = isWalked ? new Segments({ recompute, residency: model.residency }) : undefined;
    const result = use(
      recordFunction('forward', () => sequenceLogprobs(model, { ...spanBatch(microBatch.policy, model), segments })),
    );
    segments?.backward();
    weights.collect();
    return result;
  }
}
