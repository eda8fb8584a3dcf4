// GPT-NeoX (Black et al. 2022, arXiv 2204.06745), the architecture of Pythia: a pre-norm decoder with LayerNorm, partly
// rotated heads, and attention and feed-forward side by side. Shapes: N packed tokens, M scored rows, D width, V
// vocabulary, H heads, C channels of a head, X = 3C.
import type { Tensor } from '@reanchor/torch';
import { type LayerKernels, layerKernels } from '../../nn/kernels.js';
import { Embedding, LayerNorm, Linear } from '../../nn/layers.js';
import { Module, type ParameterSource } from '../../nn/module.js';
import { inverseFrequencies, Rotary, type RotaryAngles } from '../../nn/rotary.js';
import type { TokenBatch } from '../../nn/spans.js';
import { runBlocks } from '../blocks.js';
import { CausalLM, type ConfigJson } from '../causal-lm.js';
import { type GptNeoxConfig, gptNeoxConfig } from './config.js';

class Attention extends Module<[Tensor, TokenBatch, RotaryAngles]> {
  readonly #queryKeyValue: Linear;
  readonly #output: Linear;
  readonly #kernels: LayerKernels;

  constructor(
    source: ParameterSource,
    readonly layer: number,
    name: string,
    readonly config: GptNeoxConfig,
  ) {
    super();
    const { width, attentionBias } = config;
    this.#queryKeyValue = new Linear(source, `${name}.query_key_value`, width, 3 * width, attentionBias);
    this.#output = new Linear(source, `${name}.dense`, width, width, attentionBias);
    this.#kernels = layerKernels(source.kernels);
  }

  protected forward(x_ND: Tensor, batch: TokenBatch, angles: RotaryAngles): Tensor {
    const { heads, headChannels, width } = this.config;
    // Head by head: its queries, keys and values are neighbours in the fused projection.
    const qkv_NHX = this.#queryKeyValue.call(x_ND).view([-1, heads, 3 * headChannels]);
    const mixed_NHC = this.#kernels.attendJoined(qkv_NHX, { layer: this.layer, batch, angles });
    return this.#output.call(mixed_NHC.reshape([-1, width]));
  }
}

class FeedForward extends Module<[Tensor]> {
  readonly #up: Linear;
  readonly #down: Linear;

  constructor(
    source: ParameterSource,
    name: string,
    readonly config: GptNeoxConfig,
  ) {
    super();
    const { width, feedForward } = config;
    this.#up = new Linear(source, `${name}.dense_h_to_4h`, width, feedForward, true);
    this.#down = new Linear(source, `${name}.dense_4h_to_h`, feedForward, width, true);
  }

  protected forward(x_ND: Tensor): Tensor {
    return this.#down.call(this.#up.call(x_ND).gelu({ approximate: this.config.gelu }));
  }
}

class Block extends Module<[Tensor, TokenBatch, RotaryAngles]> {
  readonly #attentionNorm: LayerNorm;
  readonly #feedForwardNorm: LayerNorm;
  readonly #attention: Attention;
  readonly #feedForward: FeedForward;

  constructor(
    source: ParameterSource,
    layer: number,
    readonly config: GptNeoxConfig,
  ) {
    super();
    const name = `gpt_neox.layers.${layer}`;
    const { width, layerNormEps } = config;
    this.#attentionNorm = new LayerNorm(source, `${name}.input_layernorm`, width, layerNormEps);
    this.#feedForwardNorm = new LayerNorm(source, `${name}.post_attention_layernorm`, width, layerNormEps);
    this.#attention = new Attention(source, layer, `${name}.attention`, config);
    this.#feedForward = new FeedForward(source, `${name}.mlp`, config);
  }

  protected forward(x_ND: Tensor, batch: TokenBatch, angles: RotaryAngles): Tensor {
    const attended_ND = this.#attention.call(this.#attentionNorm.call(x_ND), batch, angles);
    if (this.config.parallelResidual) {
      return this.#feedForward.call(this.#feedForwardNorm.call(x_ND)).add(attended_ND).add(x_ND);
    }
    const between_ND = attended_ND.add(x_ND);
    return this.#feedForward.call(this.#feedForwardNorm.call(between_ND)).add(between_ND);
  }
}

/** Scored hidden states of a packed batch: embedding, blocks, and the final norm on the scored rows only. */
class Trunk extends Module<[TokenBatch]> implements Disposable {
  readonly embedding: Embedding;
  readonly #blocks: Block[];
  readonly #norm: LayerNorm;
  readonly #rotary: Rotary;

  constructor(source: ParameterSource, config: GptNeoxConfig) {
    super();
    this.embedding = new Embedding(source, 'gpt_neox.embed_in', config.vocabularySize, config.width);
    this.#blocks = Array.from({ length: config.layers }, (_, i) => new Block(source, i, config));
    this.#norm = new LayerNorm(source, 'gpt_neox.final_layer_norm', config.width, config.layerNormEps);
    this.#rotary = new Rotary(inverseFrequencies(config.rotaryChannels, config.ropeTheta, { type: 'default' }));
  }

  protected forward(batch: TokenBatch): Tensor {
    const x_ND = this.embedding.call(batch.tokens_N);
    const angles = this.#rotary.angles(batch.positions_N, batch.longestPosition, x_ND.dtype);
    const hidden_ND = runBlocks(this.#blocks, x_ND, batch, angles);
    return this.#norm.call(hidden_ND.indexSelect(0, batch.rows_M));
  }

  [Symbol.dispose](): void {
    this.#rotary[Symbol.dispose]();
  }
}

export class GptNeox extends CausalLM {
  readonly head_VD: Tensor;
  readonly headChannels: number;
  readonly #trunk: Trunk;

  /** @param source gives each parameter by its name in published checkpoints; see `loadModel`, `copyModel`. */
  constructor(configJson: ConfigJson, source: ParameterSource) {
    super(configJson);
    const config = gptNeoxConfig(configJson);
    this.headChannels = config.headChannels;
    const owned = this.own(source);
    this.#trunk = new Trunk(owned, config);
    this.head_VD = config.tiedHead
      ? this.#trunk.embedding.weight_VD
      : owned.parameter('embed_out.weight', [config.vocabularySize, config.width]);
  }

  hidden(batch: TokenBatch): Tensor {
    return this.#trunk.call(batch);
  }

  override [Symbol.dispose](): void {
    this.#trunk[Symbol.dispose]();
    super[Symbol.dispose]();
  }
}
