import type { CausalLM } from '../models/causal-lm.js';
import type { AdamWOptions } from '../optim/adamw.js';
import type { ScheduleOptions } from '../optim/schedule.js';
import type { ReferencePolicy, ReferenceUpdate } from '../reference/policy.js';
import type { MasterWeights } from '../weights/master-weights.js';
import type { LoggedRow, Objective } from './objectives/objective.js';

export interface TrainerOptions<Row, Score extends LoggedRow> {
  policy: CausalLM;
  /** The policy's float32 weights, where it computes in half precision; left out its parameters are trained as they are. */
  masters?: MasterWeights | undefined;
  /** Left out where the objective needs none. */
  reference?: ReferencePolicy | undefined;
  objective: Objective<Row, Score>;
  optimizer: AdamWOptions & { lr: number };
  schedule: ScheduleOptions;
  maxGradNorm: number;
  /** The horizon of the learning-rate schedule, in optimizer steps. */
  totalSteps: number;
  /** Forget the optimizer's state whenever the reference becomes the policy. */
  resetOptimizer?: boolean | undefined;
  /** Keep each block's input alone and compute the rest again in the backward pass. */
  activationCheckpointing?: boolean | undefined;
  /** The initial policy, against which the reference's divergence is measured, where a cap on it is set. */
  initial?: ReferencePolicy | undefined;
}

/** What a checkpoint holds of a trainer besides tensors. */
export interface TrainerState {
  /** Optimizer steps taken. */
  step: number;
  /** Whether policy and reference are equal. */
  areModelsEqual: boolean;
}

export interface StepResult<Score extends LoggedRow> {
  step: number;
  scores: Score[];
  /** Global L2 norm of the gradient before clipping. */
  gradNorm: number;
  /** The learning rate used in this step. */
  learningRate: number;
  update: ReferenceUpdate | undefined;
  /** How far the reference of this step was from the initial policy, where a cap on that is set; nats per token. */
  divergence: number | undefined;
  /** L2 distance between policy and reference after the step and its update, where the reference is a model. */
  distance: number | undefined;
}
