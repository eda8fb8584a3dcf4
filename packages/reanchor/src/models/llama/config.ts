import { shown, UserError } from '../../errors.js';
import type { RopeScaling } from '../../nn/rotary.js';
import type { ConfigJson } from '../causal-lm.js';
import { ConfigReader } from '../config-reader.js';

/** The numbers of a Llama network, as config.json gives them. */
export interface LlamaConfig {
  vocabularySize: number;
  width: number;
  feedForward: number;
  layers: number;
  heads: number;
  keyValueHeads: number;
  headChannels: number;
  rmsNormEps: number;
  ropeTheta: number;
  ropeScaling: RopeScaling;
  tiedHead: boolean;
  /** Biases of the projections to queries, keys and values, and of the one from the heads. */
  inputBias: boolean;
  outputBias: boolean;
  /** RMS norms of each head's queries and keys (Qwen3). */
  headNorms: boolean;
  /** Tokens that attention reaches back; texts beyond it are refused. */
  window: number;
  mlpBias: boolean;
}

/**
 * Reads config.json, in the keys of published checkpoints (`rope_theta`, `rope_scaling`) or those that transformers 5
 * writes (`rope_parameters`). What would change the network's numbers and is not here is refused by name.
 */
export function llamaConfig(json: ConfigJson): LlamaConfig {
  const read = new ConfigReader(json);
  const integer = (key: string, fallback?: number) => read.integer(key, fallback);
  const family = json.model_type;
  read.oneOf('hidden_act', ['silu']);
  read.oneOf('partial_rotary_factor', [1]);
  const width = integer('hidden_size');
  const heads = integer('num_attention_heads');
  const keyValueHeads = integer('num_key_value_heads', heads);
  if (heads % keyValueHeads !== 0) {
    throw new UserError(
      `config.json: num_attention_heads ${heads} is not a multiple of num_key_value_heads ${keyValueHeads}`,
    );
  }
  if (json.head_dim == null && width % heads !== 0) {
    throw new UserError(
      `config.json: hidden_size ${width} is not a multiple of num_attention_heads ${heads}, and there is no head_dim`,
    );
  }
  const headChannels = integer('head_dim', width / heads);
  if (headChannels % 2 !== 0) {
    throw new UserError(`config.json: head_dim ${headChannels} is odd; rotary embedding needs pairs of channels`);
  }
  const rope: Rope = { ...(json.rope_scaling as object | null), ...(json.rope_parameters as object | null) };
  return {
    vocabularySize: integer('vocab_size'),
    width,
    feedForward: integer('intermediate_size'),
    layers: integer('num_hidden_layers'),
    heads,
    keyValueHeads,
    headChannels,
    rmsNormEps: read.positive('rms_norm_eps', json.rms_norm_eps ?? 1e-6, 1),
    ropeTheta: read.ropeTheta('rope_theta', rope.rope_theta ?? json.rope_theta ?? 10000),
    ropeScaling: ropeScaling(rope, read),
    tiedHead: json.tie_word_embeddings === true,
    inputBias: family === 'qwen2' || json.attention_bias === true,
    outputBias: family !== 'qwen2' && json.attention_bias === true,
    headNorms: family === 'qwen3',
    window: slidingWindow(read),
    mlpBias: json.mlp_bias === true,
  };
}

/** The window of an attention that does not see the whole text (Mistral; Qwen if it says so). */
function slidingWindow(read: ConfigReader): number {
  const { json } = read;
  const isUsed = json.model_type === 'mistral' || json.use_sliding_window === true;
  return isUsed && json.sliding_window != null ? read.integer('sliding_window') : Number.POSITIVE_INFINITY;
}

type Rope = { rope_theta?: unknown; rope_type?: string; type?: string } & Record<string, unknown>;

function ropeScaling(rope: Rope, read: ConfigReader): RopeScaling {
  const type = rope.rope_type ?? rope.type ?? 'default';
  if (type === 'default') return { type };
  if (type !== 'llama3') {
    throw new UserError(`config.json: rope type ${shown(type)} is not supported; "default" and "llama3" are`);
  }
  const keys = ['factor', 'low_freq_factor', 'high_freq_factor', 'original_max_position_embeddings'];
  const missing = keys.find((key) => typeof rope[key] !== 'number');
  if (missing !== undefined) throw new UserError(`config.json: rope type "llama3" needs the number ${missing}`);
  const low = read.positive('low_freq_factor', rope.low_freq_factor, 1e6);
  const high = read.positive('high_freq_factor', rope.high_freq_factor, 1e6);
  if (low >= high) {
    throw new UserError(`config.json: low_freq_factor ${low} has to be below high_freq_factor ${high}`);
  }
  return {
    type,
    factor: read.positive('factor', rope.factor, 1e6),
    lowFreqFactor: low,
    highFreqFactor: high,
    originalMaxPositions: read.count('original_max_position_embeddings', rope.original_max_position_embeddings),
  };
}
