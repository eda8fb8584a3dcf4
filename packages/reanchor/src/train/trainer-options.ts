import type { ProcessGroup } from '@reanchor/torch';
import type { Dropout } from '../nn/dropout.js';
import type { Optimizer } from '../optim/index.js';
import type { ReferencePolicy, ReferenceUpdate } from '../reference/reference-policy.js';
import type { ModelWeights } from '../weights/weights.js';
import type { LoggedRow, Objective } from './objectives/objective.js';

/** What of a run's plan its steps go by. */
export interface StepRules<Row, Score extends LoggedRow> {
  objective: Objective<Row, Score>;
  /** The norm to which gradients are clipped. */
  maxGradNorm: number;
  /** Forget the optimizer's state whenever the reference becomes the policy. */
  resetOptimizer?: boolean | undefined;
  /** What adapters leave out of their inputs while the policy is trained. */
  dropout?: Dropout | undefined;
  /** Keep each block's input alone and compute the rest again in the backward pass. */
  activationCheckpointing?: boolean | undefined;
}

/** What a {@link Trainer} moves, and by which rules. */
export interface TrainerOptions<Row, Score extends LoggedRow> {
  plan: StepRules<Row, Score>;
  /** The policy's. */
  weights: ModelWeights;
  /** Left out where the objective needs none. */
  reference?: ReferencePolicy | undefined;
  /** Of what is trained; the trainer disposes it. */
  optimizer: Optimizer;
  /** The learning rate of optimizer step `step`, 0 for the first. */
  schedule: (step: number) => number;
  /** The initial policy, from which the reference's drift is measured, where a cap on it is set. */
  initial?: ReferencePolicy | undefined;
  /** The processes that share each step; this one alone when left out. */
  world?: ProcessGroup | undefined;
}

/** What a checkpoint holds of a trainer besides tensors. */
export interface TrainerState {
  /** Optimizer steps taken. */
  step: number;
  /** Whether policy and reference are equal. */
  areModelsEqual: boolean;
}

/** What one optimizer step came to. */
export interface StepResult<Score extends LoggedRow> {
  step: number;
  scores: Score[];
  /** Global L2 norm of the gradient before clipping. */
  gradNorm: number;
  /** The learning rate used in this step. */
  learningRate: number;
  update: ReferenceUpdate | undefined;
  /** How far the reference of this step was from the initial policy, where a cap on that is set; nats per token. */
  drift: number | undefined;
  /** L2 distance between policy and reference after the step and its update, where the reference is a model. */
  distance: number | undefined;
}
