import type { ConfigJson } from './causal-lm.js';

/** The numbers in which published models of one family differ. */
interface Size {
  layers: number;
  width: number;
  heads: number;
  feedForward: number;
  vocabulary: number;
}

const pythia = ({ layers, width, heads, feedForward, vocabulary }: Size): ConfigJson => ({
  model_type: 'gpt_neox',
  num_hidden_layers: layers,
  hidden_size: width,
  num_attention_heads: heads,
  intermediate_size: feedForward,
  vocab_size: vocabulary,
  hidden_act: 'gelu',
  rotary_pct: 0.25,
  rotary_emb_base: 10000,
  layer_norm_eps: 1e-5,
  max_position_embeddings: 2048,
  use_parallel_residual: true,
  tie_word_embeddings: false,
  torch_dtype: 'float16',
});

const llama3 = {
  model_type: 'llama',
  num_hidden_layers: 32,
  hidden_size: 4096,
  num_attention_heads: 32,
  num_key_value_heads: 8,
  intermediate_size: 14336,
  vocab_size: 128256,
  hidden_act: 'silu',
  rope_theta: 500000,
  rms_norm_eps: 1e-5,
  max_position_embeddings: 8192,
  tie_word_embeddings: false,
  torch_dtype: 'bfloat16',
};

// biome-ignore format: a table
const published: Readonly<Record<string, ConfigJson>> = {
  'EleutherAI/pythia-70m':  pythia({ layers: 6, width: 512, heads: 8, feedForward: 2048, vocabulary: 50304 }),
  'EleutherAI/pythia-160m': pythia({ layers: 12, width: 768, heads: 12, feedForward: 3072, vocabulary: 50304 }),
  'EleutherAI/pythia-410m': pythia({ layers: 24, width: 1024, heads: 16, feedForward: 4096, vocabulary: 50304 }),
  'EleutherAI/pythia-1b':   pythia({ layers: 16, width: 2048, heads: 8, feedForward: 8192, vocabulary: 50304 }),
  'EleutherAI/pythia-1.4b': pythia({ layers: 24, width: 2048, heads: 16, feedForward: 8192, vocabulary: 50304 }),
  'EleutherAI/pythia-2.8b': pythia({ layers: 32, width: 2560, heads: 32, feedForward: 10240, vocabulary: 50304 }),
  'EleutherAI/pythia-6.9b': pythia({ layers: 32, width: 4096, heads: 32, feedForward: 16384, vocabulary: 50432 }),
  'EleutherAI/pythia-12b':  pythia({ layers: 36, width: 5120, heads: 40, feedForward: 20480, vocabulary: 50688 }),
  'meta-llama/Meta-Llama-3-8B': llama3,
  'meta-llama/Meta-Llama-3-8B-Instruct': llama3,
  'karpathy/stories260K': {
    model_type: 'llama', num_hidden_layers: 5, hidden_size: 64, num_attention_heads: 8, num_key_value_heads: 4,
    intermediate_size: 172, vocab_size: 512, rms_norm_eps: 1e-5, max_position_embeddings: 512,
    tie_word_embeddings: true, torch_dtype: 'float32',
  },
};

/**
 * What config.json of a published model says of its shape, for planning where the model is not at hand. `name` is its
 * name on the Hub, or a path that ends with the last part of it. Undefined for other models.
 */
export function publishedConfig(name: string): { id: string; configJson: ConfigJson } | undefined {
  const last = (path: string) => path.split('/').at(-1)!.toLowerCase();
  const ids = Object.keys(published);
  const id = ids.find((one) => one.toLowerCase() === name.toLowerCase()) ?? ids.find((one) => last(one) === last(name));
  return id === undefined ? undefined : { id, configJson: published[id]! };
}

/** The names that {@link publishedConfig} knows. */
export const publishedModels: readonly string[] = Object.keys(published);
