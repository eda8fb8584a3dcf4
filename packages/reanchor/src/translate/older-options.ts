/** Arguments of older versions of TRL and transformers, and of alignment-handbook, which TRL 1.13 does not know. */

import { documentation } from '../version.js';
import type { Options, Translated } from './option.js';

/** The names that arguments of TRL 1.13 had before. */
export const renamed: Readonly<Record<string, string>> = {
  torch_dtype: 'dtype',
  evaluation_strategy: 'eval_strategy',
  max_seq_length: 'max_length',
  no_cuda: 'use_cpu',
  lora_rank: 'lora_r',
};

export const olderTranslated = {
  torch_dtype: { to: ['precision'], how: 'now dtype' },
  evaluation_strategy: { to: ['evaluate.every'], how: 'now eval_strategy' },
  max_seq_length: { to: ['data.maxLength'], how: 'now max_length' },
  no_cuda: { to: ['device'], how: 'now use_cpu' },
  lora_rank: { to: ['adapter.r'], how: 'lora_r' },
  warmup_ratio: { to: ['schedule.warmupSteps'], how: 'now warmup_steps below 1' },
  group_by_length: { to: ['data.shuffle'], how: 'true cannot be translated' },
  rpo_alpha: { to: ['loss.nllWeight'], how: 'now loss_type [sigmoid, sft] with weights' },
  dataset_mixer: { to: ['data.train', 'data.validation'], how: 'of alignment-handbook: shares of rows, by names' },
  dataset_splits: { to: ['data.train', 'data.validation'], how: 'of alignment-handbook' },
  dataset_mixture: { to: ['data.train', 'data.validation'], how: 'of alignment-handbook: id, config, split, weight' },
  chat_template: { to: ['data.chatTemplate'], how: 'of alignment-handbook' },
} as const satisfies Record<string, Translated>;

export const olderHarmless: Readonly<Record<string, string>> = {
  overwrite_output_dir: 'a run folder that is in use is refused',
  save_safetensors: 'weights are always safetensors',
  logging_dir: 'an event file is in the run folder',
  preprocessing_num_workers: 'rows are made tokens by all cores',
  use_flash_attention_2: 'operators are chosen by themselves',
  hub_model_revision: 'nothing is sent to the Hub',
  include_tokens_per_second: 'tokens_per_second is always logged',
  include_inputs_for_metrics: `metrics are those of ${documentation('reference/methods.md')}`,
  use_logits_to_keep: 'the head is always computed at scored tokens alone',
  label_pad_token_id: 'rows are packed without padding',
  dataset_batch_size: 'rows are made tokens by all cores',
  use_ipex: 'operators are chosen by themselves',
  half_precision_backend: 'operators are chosen by themselves',
  fp16_opt_level: 'operators are chosen by themselves',
  tokenizer_name_or_path: 'the tokenizer is that of the model folder: put another one there',
  model_adapter_name: 'a run has one adapter',
  ref_adapter_name: 'the reference shares the base, and has an adapter of its own where it needs one',
  force_use_ref_model: 'the reference is what reference says',
};

export const olderUntranslated: Options['untranslated'] = {
  max_prompt_length: {
    off: [null],
    why: 'prompts are not cut apart (nor by TRL 1.13): rows are, at data.maxLength, and prompts that fill it left out',
  },
  max_target_length: { off: [null], why: 'only whole rows are cut, at data.maxLength' },
  reference_free: { off: [false], why: 'the loss of pairs always has a reference' },
  ref_model_init_kwargs: { off: [null, {}], why: 'the reference is loaded as the policy is' },
  dataset_configs: { off: [null, []], why: 'name configurations in data.train: NAME:CONFIGURATION/SPLIT' },
  truncation_side: { off: [null, 'right'], why: 'data.truncate says which part is kept' },
  auto_insert_empty_system_msg: { off: [false], why: 'chats go through the template as they are' },
  tools: { off: [null, []], why: 'tools are a column of the rows' },
};
