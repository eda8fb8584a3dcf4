// Shapes: S sequences (two a pair: chosen, rejected), P pairs.
import { type Tensor, tidy } from '@reanchor/torch';
import type { PackedBatch } from '../data/index.js';
import { UserError } from '../errors.js';
import type { PairMethod } from '../losses/methods.js';
import { type CausalLM, sequenceLogprobs } from '../models/causal-lm.js';
import { spanBatch } from '../nn/spans.js';
import { AdamW, type AdamWOptions } from '../optim/adamw.js';
import { clipGradNorm_ } from '../optim/clip.js';
import { learningRateFactor, type ScheduleOptions } from '../optim/schedule.js';
import type { ReferencePolicy, ReferenceUpdate } from '../reference/policy.js';
import { type PairScores, pairScores } from './pair-scores.js';
import { SelfChecks } from './self-checks.js';

export interface TrainerOptions {
  policy: CausalLM;
  reference: ReferencePolicy;
  method: PairMethod;
  optimizer: AdamWOptions & { lr: number };
  schedule: ScheduleOptions;
  maxGradNorm: number;
  /** The horizon of the learning-rate schedule, in optimizer steps. */
  totalSteps: number;
}

export interface StepResult {
  step: number;
  pairs: PairScores[];
  /** Global L2 norm of the gradient before clipping. */
  gradNorm: number;
  /** The learning rate used in this step. */
  learningRate: number;
  update: ReferenceUpdate | undefined;
  /** L2 distance between policy and reference after the step and its update. */
  distance: number;
}

/**
 * Preference training, one optimizer step at a time, in the order of TRL: micro-batches forward and backward, clip,
 * optimizer, schedule, zero the gradients, count the step, move the reference if due. The loss of a step is the mean
 * over all its pairs, however they are cut into micro-batches.
 */
export class Trainer implements Disposable {
  readonly #options: TrainerOptions;
  readonly #parameters: Tensor[];
  readonly #optimizer: AdamW;
  readonly #checks: SelfChecks;
  #steps = 0;

  constructor(options: TrainerOptions) {
    this.#options = options;
    this.#parameters = [...options.policy.parameters.values()];
    for (const parameter of this.#parameters) parameter.requiresGrad = true;
    this.#optimizer = new AdamW(this.#parameters, options.optimizer);
    this.#checks = new SelfChecks(options.reference, options.method.atReference);
  }

  /** Optimizer steps taken. */
  get steps(): number {
    return this.#steps;
  }

  /** One optimizer step on these micro-batches. Errors: UserError when the run diverges; SelfCheckError; libtorch's. */
  step(microBatches: readonly PackedBatch[]): StepResult {
    const { reference, optimizer, schedule, totalSteps } = this.#options;
    const numPairs = microBatches.reduce((n, batch) => n + batch.numSequences / 2, 0);
    const pairs = microBatches.flatMap((batch) => this.#accumulate(batch, numPairs));
    refuseDivergence(this.#steps + 1, 'the loss', pairs.reduce((sum, { loss }) => sum + loss, 0) / numPairs);
    this.#checks.scores(this.#steps + 1, pairs);

    const gradNorm = this.#clip();
    refuseDivergence(this.#steps + 1, "the gradient's norm", gradNorm);
    const learningRate = optimizer.lr * learningRateFactor(schedule, this.#steps, totalSteps);
    this.#optimizer.step(learningRate);
    for (const parameter of this.#parameters) parameter.grad = null;

    this.#steps += 1;
    const update = reference.afterStep(this.#steps);
    const distance = update?.distanceAfter ?? reference.distance();
    refuseDivergence(this.#steps, 'the distance of policy and reference', distance);
    this.#checks.afterStep(this.#steps, update);
    return { step: this.#steps, pairs, gradNorm, learningRate, update, distance };
  }

  /** Adds the gradient of (sum of the batch's losses) / numPairs. */
  #accumulate(packed: PackedBatch, numPairs: number): PairScores[] {
    const { policy, reference, method } = this.#options;
    return tidy(() => {
      const batch = spanBatch(packed, policy.dtype);
      const anchor = sides(reference.logprobs(batch));
      const current = sides(sequenceLogprobs(policy, batch));
      const { loss_P, chosenRewards_P, rejectedRewards_P } = method.loss(current, anchor);
      loss_P.sum().div(numPairs).backward();
      return pairScores({
        loss: loss_P,
        chosenReward: chosenRewards_P,
        rejectedReward: rejectedRewards_P,
        chosenLogprob: current.chosen_P,
        rejectedLogprob: current.rejected_P,
        chosenReferenceLogprob: anchor.chosen_P,
        rejectedReferenceLogprob: anchor.rejected_P,
      });
    });
  }

  #clip(): number {
    const { maxGradNorm } = this.#options;
    return tidy(() =>
      clipGradNorm_(
        this.#parameters.map((parameter) => parameter.grad!),
        maxGradNorm,
      ),
    );
  }

  [Symbol.dispose](): void {
    this.#optimizer[Symbol.dispose]();
  }
}

function refuseDivergence(step: number, what: string, value: number): void {
  if (Number.isFinite(value)) return;
  throw new UserError(
    `${what} in step ${step} is ${value}: the run has diverged and is stopped; events.jsonl has the steps before. ` +
      'Lower optimizer.lr or maxGradNorm, or lengthen schedule.warmupSteps',
  );
}

function sides(logprobs_S: Tensor): { chosen_P: Tensor; rejected_P: Tensor } {
  const logprobs_P2 = logprobs_S.view([-1, 2]);
  return { chosen_P: logprobs_P2.select(1, 0), rejected_P: logprobs_P2.select(1, 1) };
}
