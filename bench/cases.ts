/** The training benchmarks: which model, which rows, which method. Both sides read the same description. */

export interface TrainCase {
  title: string;
  model: keyof typeof models;
  method: 'dpo' | 'ipo' | 'kto' | 'sft';
  /** The reference's update: soft every step with alpha, or hard every tau steps. */
  update?: { alpha: number; tau: number };
  /** Half precision: computed in bfloat16, or products of float32 matrices alone. */
  half?: 'precision' | 'matmul';
  /** Products of float32 matrices by MKL on our side, as TRL has them. Default: by what the CPU is. */
  byMkl?: true;
  /** LoRA on all linear layers of the blocks. */
  adapter?: { r: number; alpha: number };
  data: 'hh' | 'ultrafeedback';
  /** Rows of a step, which are one micro-batch. */
  rows: number;
  maxLength: number;
  /** The learning rate. Default: 1e-6. */
  lr?: number;
  /** Steps of a round; the two sides take turns round by round. */
  steps: number;
}

const hh = { model: 'pythia-70m', data: 'hh', rows: 4, maxLength: 512, steps: 4 } as const;

const lora = { r: 16, alpha: 32 };

export const trainCases: Record<string, TrainCase> = {
  dpo: { title: 'DPO, HH', method: 'dpo', ...hh },
  'dpo-soft': { title: 'TR-DPO soft every step, HH', method: 'dpo', update: { alpha: 0.6, tau: 1 }, ...hh },
  'dpo-mkl': { title: 'DPO, HH, products by MKL', method: 'dpo', byMkl: true, ...hh },
  'dpo-bf16': { title: 'DPO, HH, bf16', method: 'dpo', half: 'precision', ...hh },
  'dpo-matmul': { title: 'DPO, HH, fp32 with products in bf16', method: 'dpo', half: 'matmul', ...hh },
  'dpo-hard': { title: 'TR-DPO hard, tau 32, HH', method: 'dpo', update: { alpha: 1, tau: 32 }, ...hh },
  kto: { title: 'KTO, HH, 8 completions', method: 'kto', ...hh, rows: 8 },
  sft: { title: 'SFT, HH, 8 texts', method: 'sft', ...hh, rows: 8 },
  ipo: { title: 'IPO, UltraFeedback', method: 'ipo', ...hh, data: 'ultrafeedback' },
  lora: { title: 'DPO of LoRA r 16, HH', method: 'dpo', adapter: lora, ...hh },
  'lora-soft': {
    title: 'TR-DPO soft of LoRA r 16, HH (TRL: fixed)',
    method: 'dpo',
    adapter: lora,
    update: { alpha: 0.6, tau: 1 },
    ...hh,
  },
  'lora-llama': { title: 'DPO of LoRA r 16, HH', method: 'dpo', adapter: lora, ...hh, model: 'smollm2-135m', steps: 2 },
  'dpo-llama': { title: 'DPO, HH', method: 'dpo', ...hh, model: 'smollm2-135m', steps: 2 },
};

/** The shapes of published models, as their config.json gives them; the weights are random. */
export const models = {
  'pythia-70m': {
    architectures: ['GPTNeoXForCausalLM'],
    model_type: 'gpt_neox',
    vocab_size: 50304,
    hidden_size: 512,
    intermediate_size: 2048,
    num_hidden_layers: 6,
    num_attention_heads: 8,
    max_position_embeddings: 2048,
    rotary_pct: 0.25,
    rotary_emb_base: 10000,
    use_parallel_residual: true,
    tie_word_embeddings: false,
    hidden_act: 'gelu',
    layer_norm_eps: 1e-5,
    initializer_range: 0.02,
    bos_token_id: 0,
    eos_token_id: 0,
    torch_dtype: 'float32',
  },
  /** With the vocabulary of the GPT-NeoX tokenizer, which both sides use. */
  'smollm2-135m': {
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
    vocab_size: 50304,
    hidden_size: 576,
    intermediate_size: 1536,
    num_hidden_layers: 30,
    num_attention_heads: 9,
    num_key_value_heads: 3,
    max_position_embeddings: 8192,
    rope_theta: 100000,
    rms_norm_eps: 1e-5,
    tie_word_embeddings: true,
    hidden_act: 'silu',
    initializer_range: 0.041666666666666664,
    bos_token_id: 0,
    eos_token_id: 0,
    torch_dtype: 'float32',
  },
};
