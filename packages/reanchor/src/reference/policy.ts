// Shapes: S sequences.
import type { Tensor } from '@reanchor/torch';
import type { SpanBatch } from '../nn/spans.js';

/** An update of the reference. */
export interface ReferenceUpdate {
  /** The optimizer step after which it happened, 1 for the first. */
  step: number;
  /** How many updates there have been, this one included. */
  version: number;
  /** The share of the policy in the new reference. */
  share: number;
  /** L2 distance between the parameters of policy and reference. */
  distanceBefore: number;
  distanceAfter: number;
  /** L2 norm of the reference's parameters. */
  norm: number;
}

/** What a loss is anchored to. It answers log-probabilities and is told of every optimizer step. */
export interface ReferencePolicy extends Disposable {
  /** How many updates there have been. */
  readonly version: number;
  /** log p(completion | prompt) of every sequence under the reference, [S], without gradient. */
  logprobs(batch: SpanBatch): Tensor;
  /** To be called after optimizer step `step` (1 for the first); returns the update if one was due. */
  afterStep(step: number): ReferenceUpdate | undefined;
  /** L2 distance between the parameters of policy and reference. */
  distance(): number;
  /** A checksum of each parameter's bits: it changes whenever one element does. */
  checksums(): string[];
  /** Whether a parameter is kept in the policy's own memory, which would make every reward 0 for ever. */
  sharesPolicy(): boolean;
}
