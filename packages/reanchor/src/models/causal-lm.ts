// Shapes: N packed tokens, M scored rows, S sequences, D width, V vocabulary.
import { type Device, type DType, keep, linearLogprob, type Tensor, tidy, zeros } from '@reanchor/torch';
import type { LowRankShape } from '../adapters/index.js';
import type { KernelForm, ParameterSource } from '../nn/module.js';
import type { Nf4Weight } from '../nn/nf4-weight.js';
import type { Residency } from '../nn/segments.js';
import type { SpanBatch, TokenBatch } from '../nn/spans.js';

/** A config.json as it was read; it is written back with the model, so that nothing in it is lost. */
export type ConfigJson = Record<string, unknown>;

/** A decoder language model. What an architecture has to provide: docs/guide/adding-a-model.md. */
export abstract class CausalLM implements Disposable {
  readonly #parameters = new Map<string, Tensor>();
  readonly #quantized = new Map<string, Nf4Weight>();
  readonly #lowRank = new Map<string, LowRankShape>();
  #kernels: KernelForm | undefined;
  /** Who has the weights of the blocks, where they are not always there. */
  residency?: Residency | undefined;

  protected constructor(readonly configJson: ConfigJson) {}

  /**
   * The vocabulary matrix that turns hidden states into logits, [V, D]; the embedding itself where the two are tied.
   */
  abstract readonly head_VD: Tensor;

  /** The channels of an attention head. */
  abstract readonly headChannels: number;

  /** The final, normalised hidden states at the scored rows of the batch, [M, D]. */
  abstract hidden(batch: TokenBatch): Tensor;

  /** The parameters by their checkpoint names, in the order of the network; a tied head appears once. */
  get parameters(): ReadonlyMap<string, Tensor> {
    return this.#parameters;
  }

  /** The matrices that are kept in four bits, by their checkpoint names; none of them is a parameter. */
  get quantized(): ReadonlyMap<string, Nf4Weight> {
    return this.#quantized;
  }

  /** The forms of an adapter's factors by linear layer; empty without an adapter. The factors are parameters. */
  get lowRank(): ReadonlyMap<string, LowRankShape> {
    return this.#lowRank;
  }

  /** In which form its layers compute; composed when undefined. */
  get kernels(): KernelForm | undefined {
    return this.#kernels;
  }

  /** The dtype of the parameters, in which the model computes; an adapter's factors may be wider. */
  get dtype(): DType {
    return this.head_VD.dtype;
  }

  /** The device that the parameters are on. */
  get device(): Device {
    return this.head_VD.device;
  }

  /** `source`, remembering what it hands out as this model's parameters. */
  protected own(source: ParameterSource): ParameterSource {
    this.#kernels = source.kernels;
    return {
      ...source,
      parameter: (name, shape) => {
        const parameter = source.parameter(name, shape);
        this.#parameters.set(name, parameter);
        return parameter;
      },
      quantized: (name, shape) => {
        const weight = source.quantized?.(name, shape);
        if (weight) this.#quantized.set(name, weight);
        return weight;
      },
      lowRank: (layer, size) => {
        const shape = source.lowRank?.(layer, size);
        if (shape) this.#lowRank.set(layer, shape);
        return shape;
      },
    };
  }

  /** Takes the parameters out of every scope, so that they live until the model is disposed. Returns the model. */
  keep(): this {
    keep([...this.#parameters.values()]);
    for (const weight of this.#quantized.values()) weight.keep();
    return this;
  }

  /** Frees the parameters. */
  [Symbol.dispose](): void {
    for (const parameter of this.#parameters.values()) parameter.dispose();
    for (const weight of this.#quantized.values()) weight[Symbol.dispose]();
  }
}

/** The hidden states of the scored rows, [M, D]; parameters that other processes have come for the pass. */
export function scoredHidden(model: CausalLM, batch: SpanBatch): Tensor {
  const { residency } = model;
  residency?.begin();
  return model.hidden({ ...batch, residency });
}

/** log p(target | its context) of every scored row, [M], in fp32 or better; all logits never exist at once. */
export function tokenLogprobs(model: CausalLM, batch: SpanBatch): Tensor {
  return tidy(() => linearLogprob(scoredHidden(model, batch), model.head_VD, batch.targets_M));
}

/**
 * log p(completion | prompt) of every sequence, [S], float64: the sum of its tokens' log-probabilities. The sums alone
 * are in float64, which costs nothing and takes the rounding of long sums out of the difference between policy and
 * reference.
 */
export function sequenceLogprobs(model: CausalLM, batch: SpanBatch): Tensor {
  return tidy(() =>
    zeros([batch.numSequences], { dtype: 'float64', device: model.device }).indexAdd(
      0,
      batch.sequences_M,
      tokenLogprobs(model, batch).to('float64'),
    ),
  );
}
