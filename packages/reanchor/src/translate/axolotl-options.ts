/** Keys of axolotl's configurations of preference training (rl: dpo, ipo, kto, orpo, simpo). */

import { documentation } from '../version.js';
import type { Options, Translated } from './option.js';

/** Keys that are arguments of TRL by other names, or by their own. */
export const asTrl = {
  base_model: 'model_name_or_path',
  revision_of_model: 'model_revision',
  learning_rate: 'learning_rate',
  micro_batch_size: 'per_device_train_batch_size',
  gradient_accumulation_steps: 'gradient_accumulation_steps',
  num_epochs: 'num_train_epochs',
  max_steps: 'max_steps',
  lr_scheduler: 'lr_scheduler_type',
  lr_scheduler_kwargs: 'lr_scheduler_kwargs',
  optimizer: 'optim',
  optim_args: 'optim_args',
  weight_decay: 'weight_decay',
  adam_beta1: 'adam_beta1',
  adam_beta2: 'adam_beta2',
  adam_epsilon: 'adam_epsilon',
  max_grad_norm: 'max_grad_norm',
  warmup_steps: 'warmup_steps',
  warmup_ratio: 'warmup_ratio',
  seed: 'seed',
  logging_steps: 'logging_steps',
  eval_steps: 'eval_steps',
  eval_strategy: 'eval_strategy',
  save_steps: 'save_steps',
  save_strategy: 'save_strategy',
  save_total_limit: 'save_total_limit',
  load_best_model_at_end: 'load_best_model_at_end',
  metric_for_best_model: 'metric_for_best_model',
  fp16: 'fp16',
  tf32: 'tf32',
  sequence_len: 'max_length',
  lora_r: 'lora_r',
  lora_alpha: 'lora_alpha',
  lora_dropout: 'lora_dropout',
  lora_modules_to_save: 'lora_modules_to_save',
  peft_use_rslora: 'use_rslora',
  peft_use_dora: 'use_dora',
  load_in_4bit: 'load_in_4bit',
  load_in_8bit: 'load_in_8bit',
  dpo_loss_type: 'loss_type',
  dpo_loss_weights: 'loss_weights',
  dpo_label_smoothing: 'label_smoothing',
  dpo_use_weighting: 'use_weighting',
  precompute_ref_log_probs: 'precompute_ref_log_probs',
  kto_desirable_weight: 'desirable_weight',
  kto_undesirable_weight: 'undesirable_weight',
  cpo_alpha: 'cpo_alpha',
  simpo_gamma: 'simpo_gamma',
  neftune_noise_alpha: 'neftune_noise_alpha',
  deepspeed: 'deepspeed',
  group_by_length: 'group_by_length',
  max_prompt_len: 'max_prompt_length',
} as const;

/** Keys that are translated in a way of their own. */
const own = {
  rl: { to: ['method'], how: 'dpo, ipo and kto; orpo and simpo cannot be translated' },
  rl_beta: { to: ['loss.beta'] },
  trl: { to: ['loss.beta'], how: 'beta; sync_ref_model in it moves no reference of axolotl with rl: dpo' },
  orpo_alpha: { to: ['loss.beta'], how: 'ORPO cannot be translated' },
  datasets: {
    to: ['data.train', 'data.chatTemplate'],
    how: 'path, name, split and data_files; type: chatml.* and llama3.* name a chat template',
  },
  test_datasets: { to: ['data.validation'] },
  val_set_size: { to: ['data.validation'], how: 'a number of rows; a share cannot be translated' },
  chat_template: { to: ['data.chatTemplate'], how: 'tokenizer_default model, chatml, llama3 llama-3, jinja' },
  chat_template_jinja: { to: ['data.chatTemplate'] },
  adapter: { to: ['adapter', 'quantize'], how: 'lora, qlora' },
  lora_model_dir: { to: ['adapter.resumeFrom'] },
  lora_target_linear: { to: ['adapter.targets'], how: 'all-linear' },
  lora_target_modules: { to: ['adapter.targets'] },
  bf16: { to: ['precision'], how: 'auto is true; without an adapter weights are bfloat16 too: bf16-params' },
  bfloat16: { to: ['precision'], how: 'as bf16' },
  gradient_checkpointing: { to: ['activationCheckpointing'], how: "axolotl's default is false; offload is true" },
  evals_per_epoch: {
    to: ['evaluate.every'],
    how: 'evaluations before and after the run: steps of an epoch are unknown',
  },
  saves_per_epoch: { to: ['checkpoint.every'], how: 'every 15 minutes: steps of an epoch are unknown' },
  fsdp: { to: ['parallel.shard'], how: 'parameters, with several processes' },
  fsdp_config: { to: ['parallel.shard'], how: 'parameters, with several processes' },
  shuffle_merged_datasets: { to: ['data.shuffle'], how: 'rows are shuffled in any case' },
} as const satisfies Record<string, Translated>;

const because = (why: string, names: string) => Object.fromEntries(names.split(/\s+/).map((name) => [name, why]));
const loading = 'rows are read and made tokens by all cores, and kept in a cache';
const kernels = 'operators are chosen by themselves';
const packed = 'rows are packed without padding, whatever their number';
const processes = `processes find each other by their launcher (${documentation('guide/parallel.md')})`;
const checkpoints = 'checkpoints hold all that a run goes on from to the same bits';
const tracking = 'runs are seen on the dashboard, in TensorBoard and MLflow';

const harmless = {
  ...because('the model folder says its class', 'model_type tokenizer_type base_model_config is_llama_derived_model'),
  ...because('the model folder says its class', 'is_mistral_derived_model tokenizer_use_fast tokenizer_legacy'),
  ...because('no code of a model is run', 'trust_remote_code'),
  ...because('the run folder is named when a run is started', 'output_dir'),
  ...because(loading, 'dataset_prepared_path dataset_processes dataset_num_proc dataset_keep_in_memory'),
  ...because(
    loading,
    'remove_unused_columns streaming push_dataset_to_hub skip_prepare_dataset shuffle_before_merging',
  ),
  ...because(loading, 'dataloader_num_workers dataloader_pin_memory dataloader_prefetch_factor'),
  ...because(packed, 'pad_to_sequence_len eval_sample_packing dpo_padding_free batch_flattening eval_batch_size'),
  ...because(packed, 'auto_find_batch_size activation_offloading'),
  gradient_checkpointing_kwargs: 'there is one way of computing activations again',
  ...because(kernels, 'flash_attention xformers_attention sdp_attention eager_attention attn_implementation'),
  ...because(kernels, 'torch_compile torch_compile_backend s2_attention use_kernels use_scattermoe use_sonicmoe'),
  ...because(kernels, 'dpo_use_liger_kernel dpo_use_logits_to_keep lora_mlp_kernel lora_qkv_kernel lora_o_kernel'),
  ...because(kernels, 'low_cpu_mem_usage device_map experimental_skip_move_to_device max_memory lora_fan_in_fan_out'),
  ...because(processes, 'local_rank ddp ddp_timeout ddp_bucket_cap_mb ddp_broadcast_buffers fsdp_version'),
  ...because(processes, 'ddp_find_unused_parameters fsdp_final_state_dict_type'),
  ...because(checkpoints, 'resume_from_checkpoint auto_resume_from_checkpoints save_only_model save_first_step'),
  ...because('weights are always safetensors', 'save_safetensors'),
  ...because('one model is trained, and nothing is sent to the Hub', 'hub_model_id hub_strategy hf_use_auth_token'),
  ...because(tracking, 'wandb_project wandb_entity wandb_watch wandb_name wandb_run_id wandb_log_model wandb_mode'),
  ...because(tracking, 'mlflow_tracking_uri mlflow_experiment_name mlflow_run_name use_wandb use_mlflow use_comet'),
  ...because(tracking, 'comet_project_name swanlab_project swanlab_experiment_name use_swanlab swanlab_mode'),
  ...because(tracking, 'swanlab_log_model use_tensorboard eval_table_size eval_max_new_tokens debug'),
  strict: 'a recipe refuses unknown keys in any case',
  greater_is_better: 'the highest value is the best, of a loss the lowest',
  loss_watchdog_threshold: 'onDivergence and onRunaway watch the loss',
  loss_watchdog_patience: 'onDivergence and onRunaway watch the loss',
  train_on_inputs: 'preference training scores completions alone',
  lora_on_cpu: 'adapters are loaded where the base is',
} satisfies Record<string, string>;

const parallelism = {
  off: [null, 1],
  why: 'a model is divided by parallel.shard alone; give the processes that see other rows',
};
const untranslated = {
  sample_packing: { off: [null, false], why: 'batch.size counts rows, not packed blocks' },
  special_tokens: { off: [null, {}], why: 'special tokens are those of the model folder: set them in its files' },
  tokens: { off: [null, []], why: 'tokens are those of the model folder: add them in its files' },
  added_tokens_overrides: { off: [null, {}], why: 'tokens are those of the model folder' },
  eot_tokens: { off: [null, []], why: 'the chat template decides what ends a turn' },
  tokenizer_config: { off: [null], why: 'the tokenizer is that of the model folder: put another one there' },
  early_stopping_patience: { off: [null], why: 'runs are not stopped by an evaluation' },
  dataset_exact_deduplication: { off: [null, false], why: 'equal rows are kept' },
  excess_length_strategy: { off: [null, 'truncate'], why: 'rows are cut at data.maxLength, and not dropped' },
  sequence_len_overflow_handling: { off: [null, 'truncate'], why: 'rows are cut at data.maxLength, and not dropped' },
  lora_target_parameters: { off: [null, []], why: 'adapters are on linear layers alone' },
  peft_layers_to_transform: {
    off: [null, []],
    why: 'adapter.targets names layers: write a regular expression of paths',
  },
  peft_init_lora_weights: { off: [null, true], why: 'adapter.init is kaiming or gaussian' },
  loraplus_lr_ratio: { off: [null], why: 'both factors of an adapter have one learning rate' },
  relora: { off: [null, false], why: 'ReLoRA is not here' },
  unfrozen_parameters: { off: [null, []], why: 'all weights are trained, or an adapter' },
  rl_adapter_ref_model: { off: [null, false], why: 'reference.model names another reference' },
  embedding_lr: { off: [null], why: 'all weights have one learning rate' },
  cosine_min_lr_ratio: { off: [null], why: 'the schedules here are linear and constant' },
  cosine_constant_lr_ratio: { off: [null], why: 'the schedules here are linear and constant' },
  gptq: { off: [null, false], why: 'a base is kept in nf4, or as it is' },
  plugins: { off: [null, []], why: 'plugins change what axolotl trains in ways of their own' },
  accelerator_config: { off: [null, {}], why: 'its settings are not read: see that batch.size is meant' },
  use_onebitllms: { off: [null, false], why: 'weights of one bit are not trained here' },
  qat: { off: [null], why: 'training with quantised weights is not here' },
  batch_size: { off: [null], why: 'it is an older word for micro_batch_size times gradient_accumulation_steps' },
  overrides_of_model_config: { off: [null, {}], why: 'config.json of the model folder says it' },
  dp_shard_size: parallelism,
  dp_replicate_size: parallelism,
  tensor_parallel_size: parallelism,
  context_parallel_size: parallelism,
  sequence_parallel_degree: parallelism,
  roles_to_train: { off: [null], why: 'data.loss says what is scored' },
} satisfies Options['untranslated'];

/** What becomes of each key of axolotl. */
export const axolotlOptions = {
  translated: own as Readonly<Record<string, Translated>>,
  harmless: harmless as Readonly<Record<string, string>>,
  untranslated: untranslated as Options['untranslated'],
};
