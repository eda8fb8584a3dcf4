// Shapes: S sequences.
import { type DType, dtypeBytes, foreachLerp_, noGrad, squaredDistance, type Tensor, tidy } from '@reanchor/torch';
import type { MicroBatch } from '../data/index.js';
import { copyModel } from '../models/architectures.js';
import { type CausalLM, sequenceLogprobs } from '../models/causal-lm.js';
import type { SpanBatch } from '../nn/spans.js';
import type { ReferencePolicy, ReferenceUpdate } from './policy.js';
import { type ClockState, type Observations, ReferenceClock } from './reference-clock.js';
import type { UpdateRule } from './update-rule.js';

/** What a checkpoint holds of a copied reference besides its parameters. */
export interface CopiedReferenceState {
  kind: 'copied';
  version: number;
  clock: ClockState;
}

/**
 * A reference kept as a second model, in the policy's precision. The optimizer's state never sees an update. With
 * `initial` it starts as that model, which it then owns, otherwise as a copy of the policy.
 */
export class CopiedReference implements ReferencePolicy {
  readonly model: CausalLM;
  readonly startsAtPolicy: boolean;
  readonly #clock: ReferenceClock;
  #version = 0;

  constructor(
    readonly policy: CausalLM,
    rule: UpdateRule | ReferenceClock,
    initial?: CausalLM,
  ) {
    this.model = initial ?? copyModel(policy);
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
    const before = this.distance();
    const [anchor, policy] = this.#parameters();
    noGrad(() => foreachLerp_(anchor, policy, share));
    this.#version += 1;
    const norm = Math.sqrt(squaredDistance(anchor));
    return { step, version: this.#version, share, distances: { before, after: this.distance(), norm } };
  }

  observe<Name extends keyof Observations>(name: Name, value: Observations[Name]): void {
    this.#clock.observe(name, value);
  }

  distance(): number {
    return Math.sqrt(squaredDistance(...this.#parameters()));
  }

  /** The parameters of the reference, and those of the policy in the same order. */
  #parameters(): [reference: Tensor[], policy: Tensor[]] {
    const names = [...this.model.parameters.keys()];
    return [[...this.model.parameters.values()], names.map((name) => this.policy.parameters.get(name)!)];
  }

  checksums(): string[] {
    return [...this.model.parameters.values()].map((parameter) => tidy(() => String(words(parameter).sum().data()[0])));
  }

  sharesPolicy(): boolean {
    return [...this.policy.parameters].some(([name, parameter]) => parameter.isSetTo(this.model.parameters.get(name)!));
  }

  [Symbol.dispose](): void {
    this.model[Symbol.dispose]();
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
