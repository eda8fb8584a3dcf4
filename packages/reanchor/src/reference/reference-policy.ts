// Shapes: S sequences.
import type { Tensor } from '@reanchor/torch';
import type { MicroBatch } from '../data/index.js';
import type { CausalLM } from '../models/causal-lm.js';
import type { SaveOptions } from '../models/save.js';
import type { SpanBatch } from '../nn/spans.js';
import type { WeightDistances } from '../weights/weights.js';
import type { ClockState, Observations } from './reference-clock.js';

/** An update of the reference. */
export interface ReferenceUpdate {
  /** The optimizer step after which it happened, 1 for the first. */
  step: number;
  /** How many updates there have been, this one included. */
  version: number;
  /** The share of the policy in the new reference. */
  share: number;
  /** Of the policy, and of the reference's norm, where that has weights of its own. */
  distances?: WeightDistances | undefined;
}

/** What a checkpoint says of a copied reference; its weights are a folder. */
export interface CopiedReferenceState {
  kind: 'copied';
  version: number;
  clock: ClockState;
}

/** What a checkpoint says of a cached reference; its log-probabilities are a file. */
export interface CachedReferenceState {
  kind: 'cached';
  version: number;
  /** The last step whose rows are known. */
  sweptTo: number;
  /** Whether the first sweep, which takes another model than the policy, is still to be finished. */
  needsInitial: boolean;
}

export type ReferenceState = CopiedReferenceState | CachedReferenceState;

export interface PrepareOptions {
  /** Hears the steps that are prepared, of how many. */
  onProgress?: ((done: number, of: number) => void) | undefined;
  signal?: AbortSignal | undefined;
}

/**
 * What a loss is anchored to. It answers log-probabilities, is told of every optimizer step, and keeps its own state:
 * nobody else asks how it is stored.
 */
export interface ReferencePolicy extends Disposable {
  /** How many updates there have been. */
  readonly version: number;
  /** Whether it has reached a cap and will not move any more. */
  readonly isHalted: boolean;
  /** Whether it starts as the policy itself, so that all rewards are 0 at first. */
  readonly startsAtPolicy: boolean;
  /** The model that it computes with, where it has one of its own. */
  readonly model: CausalLM | undefined;
  /** Whether a preparation has begun that is not done: it knows more than before. */
  readonly isPreparing: boolean;
  /** To be awaited before every step. Errors: the signal's reason once it is aborted. */
  prepare(step: number, options?: PrepareOptions): Promise<void>;
  /**
   * log p(completion | prompt) under the reference of every sequence of the micro-batch's `reference` pack, [S],
   * without gradient. `batch` makes that pack's tensors, for a reference that has to compute.
   */
  logprobs(microBatch: MicroBatch, batch: () => SpanBatch): Tensor;
  /**
   * To be called before optimizer step `step` moves the policy: a reference that moves in the same pass over memory
   * decides now.
   */
  beforeStep(step: number): void;
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
  /** What a checkpoint says of it; {@link save} has the rest. */
  state(): ReferenceState;
  /** Writes its weights or log-probabilities at `path`, to which it puts an extension of its own. Errors: UserError. */
  save(path: string, form: SaveOptions): Promise<void>;
  /** Sends what rank 0 saves of it, where its weights are divided among processes. */
  takePart(): Promise<void>;
  /** Goes on from a state and what was saved with it. Errors: FormatError for a file that does not fit. */
  restore(state: ReferenceState, path: string): Promise<void>;
}
