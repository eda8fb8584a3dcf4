// Shapes: S sequences.
import type { Tensor } from '@reanchor/torch';
import type { MicroBatch } from '../data/index.js';
import type { SpanBatch } from '../nn/spans.js';
import type { CachedReferenceState } from './cached-reference.js';
import type { CopiedReferenceState } from './copied-reference.js';
import type { Observations } from './reference-clock.js';

/** An update of the reference. */
export interface ReferenceUpdate {
  /** The optimizer step after which it happened, 1 for the first. */
  step: number;
  /** How many updates there have been, this one included. */
  version: number;
  /** The share of the policy in the new reference. */
  share: number;
  /** What was measured, where the reference is a model of its own. */
  distances?: ReferenceDistances | undefined;
}

export interface ReferenceDistances {
  /** L2 distance between the parameters of policy and reference. */
  before: number;
  after: number;
  /** L2 norm of the reference's parameters. */
  norm: number;
}

/** What a loss is anchored to. It answers log-probabilities and is told of every optimizer step. */
export interface ReferencePolicy extends Disposable {
  /** How many updates there have been. */
  readonly version: number;
  /** Whether it has reached a cap and will not move any more. */
  readonly isHalted: boolean;
  /** Whether it starts as the policy itself, so that all rewards are 0 at first. */
  readonly startsAtPolicy: boolean;
  /** What a checkpoint holds of it besides parameters or log-probabilities. */
  state(): CopiedReferenceState | CachedReferenceState;
  /**
   * log p(completion | prompt) under the reference of every sequence of the micro-batch's `reference` pack, [S],
   * without gradient. `batch` makes that pack's tensors, for a reference that has to compute.
   */
  logprobs(microBatch: MicroBatch, batch: () => SpanBatch): Tensor;
  /** To be called after optimizer step `step` (1 for the first); returns the update if one was due. */
  afterStep(step: number): ReferenceUpdate | undefined;
  /** Hears what training has measured, for rules that wait for something. */
  observe<Name extends keyof Observations>(name: Name, value: Observations[Name]): void;
  /** L2 distance between the parameters of policy and reference; undefined without a model of its own. */
  distance(): number | undefined;
  /** A checksum of each parameter's bits: it changes whenever one element does. Empty without parameters. */
  checksums(): string[];
  /** Whether a parameter is kept in the policy's own memory, which would make every reward 0 for ever. */
  sharesPolicy(): boolean;
}
