// Shapes: S sequences.
import { mkdir } from 'node:fs/promises';
import { noGrad, type Tensor } from '@reanchor/torch';
import type { MicroBatch } from '../data/index.js';
import { type CausalLM, sequenceLogprobs } from '../models/causal-lm.js';
import type { SaveOptions } from '../models/save.js';
import type { SpanBatch } from '../nn/spans.js';
import { FusedWeights } from '../weights/fused-weights.js';
import type { AnchorOptions, ModelWeights } from '../weights/weights.js';
import { type Observations, ReferenceClock } from './reference-clock.js';
import type { CopiedReferenceState, ReferencePolicy, ReferenceState, ReferenceUpdate } from './reference-policy.js';
import type { UpdateRule } from './update-rule.js';

/** How a copy of the policy's weights is kept, where `initial` is not in its place. */
export interface CopiedReferenceOptions extends AnchorOptions {
  /** The weights that it starts as, and then owns; a copy of the policy's when left out. */
  initial?: ModelWeights | undefined;
}

/**
 * A reference kept as weights of its own. The optimizer's state never sees an update. It computes in the policy's
 * dtype; in a wider `dtype` it keeps weights besides, which are moved and then rounded: a small share of a difference
 * would vanish in bfloat16.
 */
export class CopiedReference implements ReferencePolicy {
  readonly startsAtPolicy: boolean;
  readonly isPreparing = false;
  readonly #weights: ModelWeights;
  readonly #clock: ReferenceClock;
  #version = 0;
  /** The share of the update after the step that is being made, where it has been decided. */
  #share: number | undefined;

  constructor(
    readonly policy: ModelWeights,
    rule: UpdateRule | ReferenceClock,
    { initial, ...options }: CopiedReferenceOptions = {},
  ) {
    this.#weights = initial ?? policy.anchor(options);
    this.startsAtPolicy = initial === undefined;
    this.#clock = rule instanceof ReferenceClock ? rule : new ReferenceClock(rule);
  }

  get version(): number {
    return this.#version;
  }

  get isHalted(): boolean {
    return this.#clock.isHalted;
  }

  get model(): CausalLM {
    return this.#weights.model;
  }

  logprobs(_microBatch: MicroBatch, batch: () => SpanBatch): Tensor {
    return noGrad(() => sequenceLogprobs(this.model, batch()));
  }

  async prepare(): Promise<void> {}

  beforeStep(step: number): void {
    const { policy } = this;
    if (!(policy instanceof FusedWeights && this.#weights instanceof FusedWeights)) return;
    this.#share = this.#clock.share(step);
    policy.lead(this.#weights, this.#share);
  }

  afterStep(step: number): ReferenceUpdate | undefined {
    this.#weights.rest();
    const share = this.#share ?? this.#clock.share(step);
    this.#share = undefined;
    if (share === 0) return undefined;
    const distances = this.#weights.moveTowards_(this.policy, share);
    this.#version += 1;
    return { step, version: this.#version, share, distances };
  }

  observe<Name extends keyof Observations>(name: Name, value: Observations[Name]): void {
    this.#clock.observe(name, value);
  }

  distance(): number {
    return this.#weights.distance(this.policy);
  }

  checksums(): string[] {
    return this.#weights.checksums();
  }

  sharesPolicy(): boolean {
    return this.#weights.sharesMemory(this.policy);
  }

  state(): CopiedReferenceState {
    return { kind: 'copied', version: this.#version, clock: this.#clock.state() };
  }

  /** Saves its weights as a Hugging Face folder at `path`. */
  async save(path: string, form: SaveOptions): Promise<void> {
    await mkdir(path);
    await this.#weights.save(path, { ...form, dtype: this.#weights.dtype });
  }

  takePart(): Promise<void> {
    return this.#weights.takePart({ what: 'parameters' }, undefined);
  }

  /** Its weights have to be those that were saved: `initial`, from {@link savedReference}. */
  async restore(state: ReferenceState): Promise<void> {
    if (state.kind !== 'copied')
      throw new RangeError(`the state of a ${state.kind} reference is not that of a copied one`);
    this.#version = state.version;
    this.#clock.restore(state.clock);
  }

  [Symbol.dispose](): void {
    this.#weights[Symbol.dispose]();
  }
}

/**
 * The folder of the model with which a reference has to be made that is to go on from a state, saved at `path`: of a
 * copied one what was saved; of a cached one the model that it was at first, as long as that is needed.
 */
export function savedReference(
  state: ReferenceState | undefined,
  path: string,
  initialFolder: string | undefined,
): string | undefined {
  if (state?.kind === 'copied') return path;
  return state?.needsInitial ? initialFolder : undefined;
}
