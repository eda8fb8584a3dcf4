// Llama (Touvron et al. 2023; Grattafiori et al. 2024): pre-norm decoder with rotary positions, grouped-query attention
// and SwiGLU; with other biases and norms also Mistral, Qwen2 and Qwen3 (config.ts). Shapes: N packed tokens, M scored
// rows, D width, V vocabulary, H query heads, K key-value heads, C channels of a head.
import type { Tensor } from '@reanchor/torch';
import { UserError } from '../../errors.js';
import { type LayerKernels, layerKernels } from '../../nn/kernels.js';
import { Embedding, Linear, RmsNorm } from '../../nn/layers.js';
import { Module, type ParameterSource } from '../../nn/module.js';
import { inverseFrequencies, Rotary, type RotaryAngles } from '../../nn/rotary.js';
import type { TokenBatch } from '../../nn/spans.js';
import { runBlocks } from '../blocks.js';
import { CausalLM, type ConfigJson } from '../causal-lm.js';
import { type LlamaConfig, llamaConfig } from './config.js';

class Attention extends Module<[Tensor, TokenBatch, RotaryAngles]> {
  readonly #queries: Linear;
  readonly #keys: Linear;
  readonly #values: Linear;
  readonly #output: Linear;
  readonly #queryNorm: RmsNorm | undefined;
  readonly #keyNorm: RmsNorm | undefined;
  readonly #kernels: LayerKernels;

  constructor(
    source: ParameterSource,
    readonly layer: number,
    name: string,
    readonly config: LlamaConfig,
  ) {
    super();
    const { width, heads, keyValueHeads, headChannels, inputBias, outputBias, rmsNormEps } = config;
    this.#queries = new Linear(source, `${name}.q_proj`, width, heads * headChannels, inputBias);
    this.#keys = new Linear(source, `${name}.k_proj`, width, keyValueHeads * headChannels, inputBias);
    this.#values = new Linear(source, `${name}.v_proj`, width, keyValueHeads * headChannels, inputBias);
    this.#output = new Linear(source, `${name}.o_proj`, heads * headChannels, width, outputBias);
    this.#kernels = layerKernels(source.kernels);
    if (!config.headNorms) return;
    this.#queryNorm = new RmsNorm(source, `${name}.q_norm`, headChannels, rmsNormEps);
    this.#keyNorm = new RmsNorm(source, `${name}.k_norm`, headChannels, rmsNormEps);
  }

  protected forward(x_ND: Tensor, batch: TokenBatch, angles: RotaryAngles): Tensor {
    const { heads, keyValueHeads, headChannels } = this.config;
    const perHead = (layer: Linear, count: number, norm?: RmsNorm) => {
      const x_NHC = layer.call(x_ND).view([-1, count, headChannels]);
      return norm ? norm.call(x_NHC) : x_NHC;
    };
    const mixed_NHC = this.#kernels.attend(
      perHead(this.#queries, heads, this.#queryNorm),
      perHead(this.#keys, keyValueHeads, this.#keyNorm),
      perHead(this.#values, keyValueHeads),
      { layer: this.layer, batch, angles },
    );
    return this.#output.call(mixed_NHC.reshape([-1, heads * headChannels]));
  }
}

class FeedForward extends Module<[Tensor]> {
  readonly #gate: Linear;
  readonly #up: Linear;
  readonly #down: Linear;
  readonly #kernels: LayerKernels;

  constructor(source: ParameterSource, name: string, { width, feedForward, mlpBias }: LlamaConfig) {
    super();
    this.#gate = new Linear(source, `${name}.gate_proj`, width, feedForward, mlpBias);
    this.#up = new Linear(source, `${name}.up_proj`, width, feedForward, mlpBias);
    this.#down = new Linear(source, `${name}.down_proj`, feedForward, width, mlpBias);
    this.#kernels = layerKernels(source.kernels);
  }

  protected forward(x_ND: Tensor): Tensor {
    return this.#down.call(this.#kernels.swiglu(this.#gate.call(x_ND), this.#up.call(x_ND)));
  }
}

class Block extends Module<[Tensor, TokenBatch, RotaryAngles]> {
  readonly #attentionNorm: RmsNorm;
  readonly #attention: Attention;
  readonly #feedForwardNorm: RmsNorm;
  readonly #feedForward: FeedForward;

  constructor(source: ParameterSource, layer: number, config: LlamaConfig) {
    super();
    const name = `model.layers.${layer}`;
    this.#attentionNorm = new RmsNorm(source, `${name}.input_layernorm`, config.width, config.rmsNormEps);
    this.#attention = new Attention(source, layer, `${name}.self_attn`, config);
    this.#feedForwardNorm = new RmsNorm(source, `${name}.post_attention_layernorm`, config.width, config.rmsNormEps);
    this.#feedForward = new FeedForward(source, `${name}.mlp`, config);
  }

  protected forward(x_ND: Tensor, batch: TokenBatch, angles: RotaryAngles): Tensor {
    const attended_ND = x_ND.add(this.#attention.call(this.#attentionNorm.call(x_ND), batch, angles));
    return attended_ND.add(this.#feedForward.call(this.#feedForwardNorm.call(attended_ND)));
  }
}

/** Scored hidden states of a packed batch: embedding, blocks, and the final norm on the scored rows only. */
class Trunk extends Module<[TokenBatch]> implements Disposable {
  readonly embedding: Embedding;
  readonly #blocks: Block[];
  readonly #norm: RmsNorm;
  readonly #rotary: Rotary;

  constructor(
    source: ParameterSource,
    readonly config: LlamaConfig,
  ) {
    super();
    this.embedding = new Embedding(source, 'model.embed_tokens', config.vocabularySize, config.width);
    this.#blocks = Array.from({ length: config.layers }, (_, i) => new Block(source, i, config));
    this.#norm = new RmsNorm(source, 'model.norm', config.width, config.rmsNormEps);
    this.#rotary = new Rotary(inverseFrequencies(config.headChannels, config.ropeTheta, config.ropeScaling));
  }

  protected forward(batch: TokenBatch): Tensor {
    if (batch.longestPosition >= this.config.window) {
      throw new UserError(
        `a text has ${batch.longestPosition + 1} tokens and the model's attention a sliding window of ${this.config.window}, which is ` +
          'not supported: set data.maxLength to the window or less, and leave the window out of longer generations',
      );
    }
    const x_ND = this.embedding.call(batch.tokens_N);
    const angles = this.#rotary.angles(batch.positions_N, batch.longestPosition, x_ND.dtype);
    const hidden_ND = runBlocks(this.#blocks, x_ND, batch, angles);
    return this.#norm.call(hidden_ND.indexSelect(0, batch.rows_M));
  }

  [Symbol.dispose](): void {
    this.#rotary[Symbol.dispose]();
  }
}

export class Llama extends CausalLM {
  readonly head_VD: Tensor;
  readonly headChannels: number;
  readonly #trunk: Trunk;

  /** @param source gives each parameter by its Hugging Face name: `loadModel`, `copyModel`. */
  constructor(configJson: ConfigJson, source: ParameterSource) {
    super(configJson);
    const config = llamaConfig(configJson);
    this.headChannels = config.headChannels;
    const owned = this.own(source);
    this.#trunk = new Trunk(owned, config);
    this.head_VD = config.tiedHead
      ? this.#trunk.embedding.weight_VD
      : owned.parameter('lm_head.weight', [config.vocabularySize, config.width]);
  }

  hidden(batch: TokenBatch): Tensor {
    return this.#trunk.call(batch);
  }

  override [Symbol.dispose](): void {
    this.#trunk[Symbol.dispose]();
    super[Symbol.dispose]();
  }
}
