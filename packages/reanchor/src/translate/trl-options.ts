/**
 * The arguments of TRL 1.13.0's trainers (DPOConfig, KTOConfig, SFTConfig, CPOConfig, ORPOConfig), of its command
 * (ModelConfig, ScriptArguments, DatasetMixtureConfig) and of transformers 5.18's TrainingArguments, each translated,
 * harmless or untranslated; `older-options.ts` has the names that older versions knew.
 */

import { documentation } from '../version.js';
import { olderHarmless, olderTranslated, olderUntranslated } from './older-options.js';
import type { Options, Translated } from './option.js';

const translated = {
  model_name_or_path: { to: ['model'] },
  model_revision: { to: ['model'], how: 'behind an @, unless it is main' },
  model_init_kwargs: { to: ['model', 'precision'], how: 'its revision and dtype' },
  dtype: { to: ['precision'], how: 'bfloat16 weights without an adapter are trained as such: bf16-params' },
  bf16: { to: ['precision'], how: 'autocast over float32 weights is bf16; false is fp32' },
  fp16: { to: ['precision'], how: 'nothing is trained in float16 here: bf16 in its place, which is told' },
  tf32: { to: ['matmul'], how: 'bf16, which is TF32 on a GPU, with precision fp32; without effect with others' },
  gradient_checkpointing: { to: ['activationCheckpointing'], how: "TRL's default is true" },
  use_peft: { to: ['adapter'] },
  lora_r: { to: ['adapter.r'] },
  lora_alpha: { to: ['adapter.alpha'] },
  lora_dropout: {
    to: ['adapter.dropout'],
    how: 'of SFT alone: the other trainers set every dropout to 0 (disable_dropout)',
  },
  lora_target_modules: {
    to: ['adapter.targets'],
    how: "a text that is not all-linear is a regular expression; left out, PEFT's choice: queries and values",
  },
  lora_modules_to_save: { to: ['adapter.modulesToSave'], how: 'with precision fp32' },
  use_rslora: { to: ['adapter.rslora'] },
  use_dora: { to: ['adapter.type'] },
  load_in_4bit: { to: ['quantize'] },
  bnb_4bit_quant_type: { to: ['quantize'], how: 'nf4 alone' },
  use_bnb_nested_quant: { to: ['quantize'], how: 'nf4-double' },
  loss_type: {
    to: ['method', 'loss.type'],
    how: 'ipo alone is method ipo; of KTO kto; of SFT nll and chunked_nll, which are the same loss',
  },
  loss_weights: { to: ['loss.weights', 'loss.type'], how: 'beside a list of losses' },
  beta: { to: ['loss.beta'], how: 'of ipo it is tau of its paper, in both' },
  label_smoothing: {
    to: ['loss.labelSmoothing'],
    how: 'with robust, exo_pair and aot alone: TRL ignores it with the others, here it makes them conservative',
  },
  f_divergence_type: { to: ['loss.fDivergenceType'] },
  f_alpha_divergence_coef: { to: ['loss.fAlphaDivergenceCoef'], how: 'with alpha_divergence' },
  discopop_tau: { to: ['loss.discopopTau'], how: 'with discopop' },
  desirable_weight: { to: ['loss.desirableWeight'] },
  undesirable_weight: { to: ['loss.undesirableWeight'] },
  sync_ref_model: {
    to: ['reference.update'],
    how: 'soft if ref_model_sync_steps is 1, hard if ref_model_mixup_alpha is 1, else mixed, which is both',
  },
  ref_model_mixup_alpha: { to: ['reference.alpha'], how: 'ref <- alpha policy + (1 - alpha) ref, in both' },
  ref_model_sync_steps: { to: ['reference.tau'], how: 'optimizer steps, in both' },
  precompute_ref_log_probs: { to: ['reference.storage'], how: 'cached' },
  dataset_name: { to: ['data.train', 'data.validation'] },
  dataset_config: { to: ['data.train', 'data.validation'], how: 'NAME:CONFIGURATION/SPLIT' },
  dataset_train_split: { to: ['data.train', 'data.limit'], how: 'NAME:SPLIT; train[:100] is data.limit 100' },
  dataset_test_split: { to: ['data.validation'], how: 'where eval_strategy is not no' },
  datasets: {
    to: ['data.train'],
    how: 'path, name, split and data_files of each; columns are found by themselves; fraction cannot be translated',
  },
  test_split_size: { to: ['data.validation'], how: 'a number of rows; a share cannot be translated' },
  max_length: { to: ['data.maxLength'] },
  truncation_mode: { to: ['data.truncate'] },
  chat_template_path: { to: ['data.chatTemplate'], how: 'a .jinja file' },
  completion_only_loss: { to: ['data.loss'], how: 'true completion, false full' },
  assistant_only_loss: { to: ['data.loss'], how: 'assistant' },
  train_sampling_strategy: { to: ['data.shuffle'], how: 'group_by_length cannot be translated' },
  per_device_train_batch_size: {
    to: ['batch.size', 'batch.rowsPerMicroBatch'],
    how: 'times gradient_accumulation_steps times processes; rows of a micro-batch where the loss sees them (KTO, aot)',
  },
  gradient_accumulation_steps: { to: ['batch.size'] },
  num_processes: { to: ['batch.size'], how: 'how many processes train' },
  learning_rate: { to: ['optimizer.lr'] },
  optim: {
    to: ['optimizer.moments'],
    how: 'every AdamW is one; 8-bit ones have moments 8bit; another optimizer cannot be translated',
  },
  adam_beta1: { to: ['optimizer.betas'] },
  adam_beta2: { to: ['optimizer.betas'] },
  adam_epsilon: { to: ['optimizer.eps'] },
  weight_decay: { to: ['optimizer.weightDecay'], how: 'biases and norms have none, in both' },
  max_grad_norm: { to: ['maxGradNorm'], how: '0 clips nothing in TRL: a norm that no gradient has' },
  lr_scheduler_type: {
    to: ['schedule.type'],
    how: 'linear, constant_with_warmup and constant, which has no warm-up in transformers; others cannot be translated',
  },
  warmup_steps: { to: ['schedule.warmupSteps'], how: 'below 1 a share of the run, rounded up, in both' },
  num_train_epochs: { to: ['epochs'], how: 'whole numbers' },
  max_steps: { to: ['steps'] },
  eval_strategy: { to: ['evaluate.every'], how: 'steps; epoch evaluates before and after the run' },
  eval_steps: { to: ['evaluate.every'] },
  save_strategy: { to: ['checkpoint.every'], how: 'steps, or never for no; epoch every 15 minutes' },
  save_steps: { to: ['checkpoint.every'] },
  save_total_limit: { to: ['checkpoint.keep'], how: 'left out, 2; TRL keeps all' },
  metric_for_best_model: { to: ['checkpoint.best'], how: 'with load_best_model_at_end' },
  load_best_model_at_end: {
    to: ['checkpoint.best'],
    how: 'the best checkpoint is kept; final/ is the last model all the same, which is told',
  },
  logging_steps: { to: ['logEvery'] },
  report_to: { to: ['log.tensorboard'], how: 'tensorboard; others have no effect; log.mlflow needs an address' },
  seed: { to: ['seed'] },
  full_determinism: { to: ['deterministic'] },
  use_cpu: { to: ['device'], how: 'cpu' },
  deepspeed: { to: ['parallel.shard'], how: 'ZeRO 1, 2, 3: optimizer, gradients, parameters; with several processes' },
  fsdp: { to: ['parallel.shard'], how: 'full_shard parameters, shard_grad_op gradients; with several processes' },
  accelerate_config: { to: ['parallel.shard'], how: 'by its name: zero1, zero2, zero3, fsdp1, fsdp2' },
} as const satisfies Record<string, Translated>;

const tracking = 'runs are seen on the dashboard, in TensorBoard and MLflow';
const memory = 'rows are packed without padding, and the peak of memory is batch.tokensPerMicroBatch';
const evaluation = 'evaluations are before and after the run and every evaluate.every steps, and are cut by themselves';
const loading = 'rows are read and made tokens by all cores, once';
const hub = 'nothing is sent to the Hub';
const processes = `processes find each other by their launcher (${documentation('guide/parallel.md')})`;
const checkpoints = 'checkpoints hold all that a run goes on from to the same bits';
const kernels = 'operators are chosen by themselves';
const logging = 'every step is logged, or the mean of logEvery of them';

const because = (why: string, names: string) => Object.fromEntries(names.split(/\s+/).map((name) => [name, why]));

const harmless = {
  ...because(tracking, 'run_name project trackio_space_id trackio_bucket_id trackio_static_space_id'),
  ...because(logging, 'logging_strategy logging_first_step log_on_each_node logging_nan_inf_filter log_level'),
  ...because(logging, 'log_level_replica disable_tqdm include_num_input_tokens_seen skip_memory_metrics'),
  ...because(hub, 'push_to_hub hub_token hub_private_repo hub_model_id hub_strategy hub_always_push hub_revision'),
  ...because(evaluation, 'eval_delay per_device_eval_batch_size prediction_loss_only eval_on_start'),
  ...because(evaluation, 'eval_do_concat_batches eval_use_gather_object eval_accumulation_steps include_for_metrics'),
  ...because(evaluation, 'batch_eval_metrics bf16_full_eval fp16_full_eval do_eval do_predict do_train eval_packing'),
  ...because(evaluation, 'generate_during_eval'),
  ...because(checkpoints, 'save_only_model save_on_each_node enable_jit_checkpoint ignore_data_skip'),
  ...because(checkpoints, 'restore_callback_states_from_checkpoint resume_from_checkpoint'),
  ...because(loading, 'dataloader_num_workers dataloader_pin_memory dataloader_persistent_workers'),
  ...because(loading, 'dataloader_prefetch_factor dataloader_multiprocessing_context dataloader_in_order'),
  ...because(loading, 'dataset_num_proc dataset_streaming streaming remove_unused_columns label_names'),
  ...because(loading, 'length_column_name is_encoder_decoder'),
  ...because(processes, 'ddp_find_unused_parameters ddp_bucket_cap_mb ddp_broadcast_buffers ddp_static_graph'),
  ...because(processes, 'ddp_backend ddp_timeout fsdp_config parallelism_config local_rank ignore_bias_buffers'),
  ...because(memory, 'padding_free pad_to_multiple_of pad_token padding_value auto_find_batch_size'),
  ...because(memory, 'precompute_ref_batch_size activation_offloading torch_empty_cache_steps use_cache'),
  ...because(kernels, 'attn_implementation torch_compile torch_compile_backend torch_compile_mode'),
  ...because(kernels, 'use_liger_kernel liger_kernel_config debug'),
  output_dir: 'the run folder is named when a run is started',
  gradient_checkpointing_kwargs: 'there is one way of computing activations again',
  bnb_4bit_quant_storage: 'a base of four bits is stored in bytes',
  env: 'variables of the environment are set where a run is started',
  greater_is_better: 'the highest value is the best, of a loss the lowest',
  trust_remote_code: 'no code of a model is run',
  router_aux_loss_coef: 'mixtures of experts are not trained here',
  data_seed: 'one seed draws everything',
  shuffle_dataset: 'each epoch has an order of its own',
  packing_strategy: 'see packing',
  lora_task_type: 'every model here writes text',
} satisfies Record<string, string>;

const untranslated = {
  ld_alpha: { off: [null, 1], why: 'LD-DPO is not one of the losses here' },
  use_weighting: { off: [false], why: 'WPO weights are not here: all pairs count the same' },
  disable_dropout: { off: [true], why: 'a model has no dropout here but that of an adapter' },
  lr_scheduler_kwargs: { off: [null, {}], why: 'the schedules here have no options' },
  optim_args: { off: [null, ''], why: 'AdamW here has lr, betas, eps, weightDecay and moments' },
  optim_target_modules: { off: [null], why: 'one AdamW moves all that is trained' },
  label_smoothing_factor: { off: [0], why: 'the cross-entropy of SFT is not smoothed here' },
  neftune_noise_alpha: { off: [null, 0], why: 'noise on embeddings (NEFTune) is not here' },
  average_tokens_across_devices: { off: [true], why: 'the mean of SFT is over all tokens of a step' },
  dataloader_drop_last: { off: [false], why: 'the last step of an epoch has the rows that are left' },
  accelerator_config: { off: [null, {}], why: 'split_batches and the like are not read: see that batch.size is meant' },
  load_in_8bit: { off: [false], why: 'a base of 8 bits is not here: it is kept as it is; quantize: nf4 has 4.5 bits' },
  lora_target_parameters: { off: [null, []], why: 'adapters are on linear layers alone' },
  dataset_text_field: { off: ['text'], why: 'the column of texts is called text here: rename it' },
  dataset_kwargs: { off: [null, {}], why: 'rows are always prepared here' },
  eos_token: { off: [null], why: 'the tokenizer folder decides what ends a text: set eos_token in its files' },
  packing: {
    off: [false],
    why: 'batch.size counts rows: a row of a packed batch is a block of max_length tokens, of several rows',
  },
  max_completion_length: { off: [null], why: 'only whole rows are cut, at data.maxLength' },
  cpo_alpha: { off: [], why: 'CPO and SimPO are not here' },
  simpo_gamma: { off: [], why: 'SimPO is not here' },
  alpha: { off: [0], why: 'AlphaPO is not here' },
} satisfies Options['untranslated'];

/** What becomes of each argument of TRL, older names included. */
export const trlOptions: Options = {
  translated: { ...translated, ...olderTranslated },
  harmless: { ...harmless, ...olderHarmless },
  untranslated: { ...untranslated, ...olderUntranslated },
};
