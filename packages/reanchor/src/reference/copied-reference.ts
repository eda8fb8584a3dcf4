// Shapes: S sequences.
import {
  type DType,
  dtypeBytes,
  moveTowards_,
  noGrad,
  squaredDistance,
  stack,
  type Tensor,
  tidy,
} from '@reanchor/torch';
import type { MicroBatch } from '../data/index.js';
import { copyModel, copyParameters } from '../models/architectures.js';
import { type CausalLM, sequenceLogprobs } from '../models/causal-lm.js';
import type { SpanBatch } from '../nn/spans.js';
import type { ReferencePolicy, ReferenceUpdate } from './policy.js';
import { type ClockState, type Observations, ReferenceClock } from './reference-clock.js';
import type { UpdateRule } from './update-rule.js';

export interface CopiedReferenceOptions {
  /** The model that it starts as, in `dtype`, and then owns; a copy of the policy when left out. */
  initial?: CausalLM | undefined;
  /** The policy's float32 weights, where it has such. */
  masters?: CausalLM | undefined;
  /** The dtype of the weights that it keeps; the policy's when left out. */
  dtype?: DType | undefined;
}

/** What a checkpoint holds of a copied reference besides its parameters. */
export interface CopiedReferenceState {
  kind: 'copied';
  version: number;
  clock: ClockState;
}

/**
 * A reference kept as a second model. The optimizer's state never sees an update. It computes in the policy's dtype; in a
 * wider `dtype` it keeps weights besides, which are moved and then rounded: a small share of a difference would vanish in
 * bfloat16.
 */
export class CopiedReference implements ReferencePolicy {
  /** What the reference computes with. */
  readonly model: CausalLM;
  readonly startsAtPolicy: boolean;
  /** The weights that are moved, which a checkpoint keeps: those of `model`, or wider ones. */
  readonly weights: CausalLM;
  /** The weights that they move towards. */
  readonly #target: CausalLM;
  readonly #clock: ReferenceClock;
  #version = 0;

  constructor(
    readonly policy: CausalLM,
    rule: UpdateRule | ReferenceClock,
    { initial, masters, dtype = policy.dtype }: CopiedReferenceOptions = {},
  ) {
    const isWider = dtype !== policy.dtype;
    this.#target = (isWider ? masters : undefined) ?? policy;
    this.weights = initial ?? copyModel(this.#target, dtype);
    this.model = isWider ? copyModel(this.weights, policy.dtype) : this.weights;
    this.startsAtPolicy = initial === undefined;
    this.#clock = rule instanceof ReferenceClock ? rule : new ReferenceClock(rule);
  }

  get version(): number {
    return this.#version;
  }

  get isHalted(): boolean {
    return this.#clock.isHalted;
  }

  state(): CopiedReferenceState {
    return { kind: 'copied', version: this.#version, clock: this.#clock.state() };
  }

  /** Goes on from a state; the model must be the one of that state. */
  restore({ version, clock }: CopiedReferenceState): void {
    this.#version = version;
    this.#clock.restore(clock);
  }

  logprobs(_microBatch: MicroBatch, batch: () => SpanBatch): Tensor {
    return noGrad(() => sequenceLogprobs(this.model, batch()));
  }

  afterStep(step: number): ReferenceUpdate | undefined {
    const share = this.#clock.share(step);
    if (share === 0) return undefined;
    const { before, after, norm } = moveTowards_(...this.#parameters(), share);
    if (this.weights !== this.model) copyParameters(this.weights, this.model);
    this.#version += 1;
    const distances = { before: Math.sqrt(before), after: Math.sqrt(after), norm: Math.sqrt(norm) };
    return { step, version: this.#version, share, distances };
  }

  observe<Name extends keyof Observations>(name: Name, value: Observations[Name]): void {
    this.#clock.observe(name, value);
  }

  distance(): number {
    return Math.sqrt(squaredDistance(...this.#parameters()));
  }

  /** The parameters of the reference, and those of the policy in the same order. */
  #parameters(): [reference: Tensor[], policy: Tensor[]] {
    const { parameters } = this.weights;
    return [[...parameters.values()], [...parameters.keys()].map((name) => this.#target.parameters.get(name)!)];
  }

  checksums(): string[] {
    const parameters = [...this.weights.parameters.values()];
    return tidy(() => Array.from(stack(parameters.map((parameter) => words(parameter).sum())).data(), String));
  }

  sharesPolicy(): boolean {
    return [...this.policy.parameters].some(([name, parameter]) => parameter.isSetTo(this.model.parameters.get(name)!));
  }

  [Symbol.dispose](): void {
    this.model[Symbol.dispose]();
    if (this.weights !== this.model) this.weights[Symbol.dispose]();
  }
}

const bitsOf: Partial<Record<DType, DType>> = {
  float64: 'int64',
  float32: 'int32',
  float16: 'int16',
  bfloat16: 'int16',
};

/** The bits of a parameter as integers; of 64 bits where they fit, which are summed without being widened first. */
function words(parameter: Tensor): Tensor {
  const flat = parameter.detach().view([-1]);
  const isWhole = (parameter.numel * dtypeBytes(parameter.dtype)) % 8 === 0;
  return flat.view(isWhole ? 'int64' : bitsOf[parameter.dtype]!);
}
