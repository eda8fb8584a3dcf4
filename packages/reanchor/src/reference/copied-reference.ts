// Shapes: S sequences.
import { foreachLerp_, foreachNorm, noGrad, type Tensor, tidy } from '@reanchor/torch';
import { copyModel } from '../models/architectures.js';
import { type CausalLM, sequenceLogprobs } from '../models/causal-lm.js';
import type { SpanBatch } from '../nn/spans.js';
import { type UpdateRule, updateShare } from './update-rule.js';

/** An update of the reference: its share of the policy, and the L2 distance of the two before and after. */
export interface ReferenceUpdate {
  step: number;
  version: number;
  share: number;
  distanceBefore: number;
  distanceAfter: number;
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
  /** A number per parameter that changes when the parameter does; equal values before and after mean that nothing moved. */
  fingerprint(): number[];
}

/** A reference kept as a second copy of the policy, in the policy's precision. The optimizer's state never sees an update. */
export class CopiedReference implements ReferencePolicy {
  readonly model: CausalLM;
  #version = 0;

  constructor(
    readonly policy: CausalLM,
    readonly rule: UpdateRule,
  ) {
    this.model = copyModel(policy);
  }

  get version(): number {
    return this.#version;
  }

  logprobs(batch: SpanBatch): Tensor {
    return noGrad(() => sequenceLogprobs(this.model, batch));
  }

  afterStep(step: number): ReferenceUpdate | undefined {
    const share = updateShare(this.rule, step);
    if (share === 0) return undefined;
    const distanceBefore = this.distance();
    noGrad(() => foreachLerp_([...this.model.parameters.values()], [...this.policy.parameters.values()], share));
    this.#version += 1;
    return { step, version: this.#version, share, distanceBefore, distanceAfter: this.distance() };
  }

  distance(): number {
    let squares = 0;
    for (const [name, parameter] of this.policy.parameters) {
      squares +=
        tidy(() => noGrad(() => parameter.sub(this.model.parameters.get(name)!).linalgVectorNorm(2).item())) ** 2;
    }
    return Math.sqrt(squares);
  }

  fingerprint(): number[] {
    return tidy(() => foreachNorm([...this.model.parameters.values()], 2).map((norm) => norm.item()));
  }

  [Symbol.dispose](): void {
    this.model[Symbol.dispose]();
  }
}
