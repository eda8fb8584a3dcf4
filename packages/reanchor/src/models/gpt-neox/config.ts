import { UserError } from '../../errors.js';
import type { ConfigJson } from '../causal-lm.js';
import { ConfigReader } from '../config-reader.js';

/** The numbers of a GPT-NeoX network, as config.json gives them. */
export interface GptNeoxConfig {
  vocabularySize: number;
  width: number;
  feedForward: number;
  layers: number;
  heads: number;
  headChannels: number;
  /** Channels of a head that are rotated, from the first on. */
  rotaryChannels: number;
  ropeTheta: number;
  layerNormEps: number;
  /** The approximation of GELU. */
  gelu: 'none' | 'tanh';
  /** x + attention(norm1 x) + mlp(norm2 x), instead of one after the other. */
  parallelResidual: boolean;
  attentionBias: boolean;
  tiedHead: boolean;
}

/**
 * Reads config.json, in the keys of published checkpoints (`rotary_pct`, `rotary_emb_base`) or those that transformers
 * 5 writes (`rope_parameters`). What would change the network's numbers and is not here is refused by name.
 */
export function gptNeoxConfig(json: ConfigJson): GptNeoxConfig {
  const read = new ConfigReader(json);
  const activation = read.oneOf('hidden_act', ['gelu', 'gelu_new', 'gelu_fast', 'gelu_pytorch_tanh']);
  const width = read.integer('hidden_size');
  const heads = read.integer('num_attention_heads');
  if (width % heads !== 0) {
    throw new UserError(`config.json: hidden_size ${width} is not a multiple of num_attention_heads ${heads}`);
  }
  const headChannels = width / heads;
  const rope = (json.rope_parameters ?? {}) as Record<string, unknown>;
  const type = rope.rope_type ?? 'default';
  if (type !== 'default' || (json.rope_scaling ?? null) !== null) {
    throw new UserError('config.json: a rope type other than "default" is not supported for gpt_neox');
  }
  const share = rope.partial_rotary_factor ?? json.rotary_pct ?? 0.25;
  const rotaryChannels = Math.floor(headChannels * read.positive('rotary_pct', share, 1));
  if (rotaryChannels < 2 || rotaryChannels > headChannels || rotaryChannels % 2 !== 0) {
    throw new UserError(
      `config.json: rotary_pct ${share} of ${headChannels} channels is ${rotaryChannels}; an even number of 2 to ${headChannels} is needed`,
    );
  }
  return {
    vocabularySize: read.integer('vocab_size'),
    width,
    feedForward: read.integer('intermediate_size'),
    layers: read.integer('num_hidden_layers'),
    heads,
    headChannels,
    rotaryChannels,
    ropeTheta: read.ropeTheta('rotary_emb_base', rope.rope_theta ?? json.rotary_emb_base ?? 10000),
    layerNormEps: read.positive('layer_norm_eps', json.layer_norm_eps ?? 1e-5, 1),
    gelu: activation === 'gelu' ? 'none' : 'tanh',
    parallelResidual: json.use_parallel_residual !== false,
    attentionBias: json.attention_bias !== false,
    tiedHead: json.tie_word_embeddings === true,
  };
}
