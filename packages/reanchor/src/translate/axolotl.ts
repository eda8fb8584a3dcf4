/**
 * From a configuration of axolotl to arguments of TRL, whose trainers it runs: as its builders do
 * (`src/axolotl/core/builders/rl.py`, July 2026), with its own defaults.
 */
import { UsageError } from '../errors.js';
import { isRecord } from '../formats/index.js';
import { documentation } from '../version.js';
import { asTrl, axolotlOptions } from './axolotl-options.js';
import type { Draft } from './draft.js';
import type { Options } from './option.js';
import { setSources, sourceOf } from './trl-data.js';
import type { Trainer } from './trl-defaults.js';

const dataPage = documentation('guide/data.md');

/** A configuration of axolotl as arguments of TRL. */
export interface AsTrl {
  trainer: Trainer;
  options: Map<string, unknown>;
  /** What axolotl has for arguments that are left out, where it is not what TRL has. */
  defaults: Readonly<Record<string, unknown>>;
  /** The keys of axolotl, by the arguments that they became. */
  names: Map<string, string>;
  /** Tells a finished draft of the keys that no argument has. */
  tell: (draft: Draft) => void;
}

/** Whether options are those of axolotl. */
export const isAxolotl = (given: ReadonlyMap<string, unknown>) => given.has('base_model') || given.has('rl');

const trainersOfRl: Readonly<Record<string, Trainer>> = {
  dpo: 'dpo',
  ipo: 'dpo',
  kto: 'kto',
  orpo: 'orpo',
  simpo: 'cpo',
};

/** The arguments of a configuration. Errors: UsageError for one that is no preference training. */
export function axolotlAsTrl(given: ReadonlyMap<string, unknown>): AsTrl {
  const rl = String(given.get('rl') ?? '');
  const trainer = trainersOfRl[rl];
  if (!trainer) {
    const what =
      rl === ''
        ? 'has no key rl, so that it is no preference training'
        : `is of rl: ${rl}, which trains on what the policy writes`;
    throw new UsageError(
      `the configuration of axolotl ${what}: ${Object.keys(trainersOfRl).join(', ')} are translated`,
    );
  }
  const put = new Arguments(given);
  for (const [key, option] of Object.entries(asTrl)) put.rename(key, option);
  putMethod(put, rl);
  putAdapter(put);
  putPrecision(put);
  putRhythm(put);
  putTemplate(put);
  const defaults = {
    num_train_epochs: 1,
    lr_scheduler_type: 'cosine',
    max_length: 512,
    lora_dropout: 0,
    warmup_steps: given.has('warmup_ratio') ? 0 : 0.03,
  };
  return { trainer, defaults, options: put.options, names: put.names, tell: (draft) => tellOwn(draft, given) };
}

/** Arguments of TRL while they are made. */
class Arguments {
  readonly options = new Map<string, unknown>();
  readonly names = new Map<string, string>();

  constructor(readonly given: ReadonlyMap<string, unknown>) {}

  /** Sets an argument that comes of a key; axolotl leaves out what is empty. */
  set(option: string, value: unknown, key: string): void {
    this.options.set(option, value);
    this.names.set(option, key);
  }

  rename(key: string, option: string): void {
    const value = this.given.get(key);
    if (value !== undefined && value !== null) this.set(option, value, key);
  }
}

function putMethod(put: Arguments, rl: string): void {
  const trl = put.given.get('trl');
  if (isRecord(trl) && trl.beta !== undefined && trl.beta !== null) put.set('beta', trl.beta, 'trl.beta');
  else if (put.given.get('rl_beta') != null) put.set('beta', put.given.get('rl_beta'), 'rl_beta');
  else if (put.given.get('orpo_alpha') != null) put.set('beta', put.given.get('orpo_alpha'), 'orpo_alpha');
  if (rl === 'ipo') put.set('loss_type', ['ipo'], 'rl');
  if (rl === 'simpo') put.set('loss_type', 'simpo', 'rl');
}

function putAdapter(put: Arguments): void {
  const { given } = put;
  const adapter = given.get('adapter');
  if (adapter === 'lora' || adapter === 'qlora') put.set('use_peft', true, 'adapter');
  const listed = given.get('lora_target_modules');
  if (given.get('lora_target_linear') === true) put.set('lora_target_modules', 'all-linear', 'lora_target_linear');
  else if (listed) put.set('lora_target_modules', listed, 'lora_target_modules');
  // axolotl's base of four bits has its scales quantised as well.
  if (put.options.get('load_in_4bit') === true) put.set('use_bnb_nested_quant', true, 'load_in_4bit');
}

function putPrecision(put: Arguments): void {
  const bf16 = put.given.get('bf16') ?? put.given.get('bfloat16') ?? 'auto';
  const isHalf = bf16 === true || bf16 === 'auto' || bf16 === 'full';
  put.set('bf16', isHalf && put.options.get('fp16') !== true, 'bf16');
  put.set('dtype', isHalf ? 'bfloat16' : 'float32', 'bf16');
  const checkpointing = put.given.get('gradient_checkpointing');
  put.set(
    'gradient_checkpointing',
    checkpointing !== undefined && checkpointing !== null && checkpointing !== false,
    'gradient_checkpointing',
  );
  if (put.options.get('tf32') === 'auto') put.set('tf32', true, 'tf32');
  const config = put.given.get('fsdp_config');
  const fsdp = put.given.get('fsdp') ?? (isRecord(config) ? 'full_shard' : undefined);
  if (fsdp !== undefined) put.set('fsdp', fsdp, put.given.has('fsdp') ? 'fsdp' : 'fsdp_config');
}

function putRhythm(put: Arguments): void {
  const { given, options } = put;
  if (options.has('eval_steps') && !options.has('eval_strategy')) put.set('eval_strategy', 'steps', 'eval_steps');
  if (given.get('evals_per_epoch')) put.set('eval_strategy', 'epoch', 'evals_per_epoch');
  if (options.has('save_steps')) put.set('save_strategy', 'steps', 'save_steps');
  else if (!options.has('save_strategy')) put.set('save_strategy', 'epoch', 'saves_per_epoch');
  const size = Number(given.get('val_set_size') ?? 0);
  if (size > 0) put.set('test_split_size', size, 'val_set_size');
  const datasets = given.get('datasets');
  if (Array.isArray(datasets)) put.set('datasets', datasets, 'datasets');
}

/** Templates of axolotl that are built in here too. */
const templates: Readonly<Record<string, string>> = {
  tokenizer_default: 'model',
  chatml: 'chatml',
  llama3: 'llama-3',
  alpaca: 'alpaca',
};

function putTemplate(put: Arguments): void {
  const { given } = put;
  const types = typesOf(given);
  const named = types.map((type) => /^(chatml|llama3)\./.exec(type)?.[1]).find(Boolean);
  const own = given.get('chat_template');
  const text = given.get('chat_template_jinja');
  if (named) put.set('chat_template', templates[named], 'datasets');
  else if (typeof text === 'string') put.set('chat_template', text, 'chat_template_jinja');
  else if (typeof own === 'string') put.set('chat_template', templates[own] ?? 'model', 'chat_template');
}

const typesOf = (given: ReadonlyMap<string, unknown>) =>
  [given.get('datasets') ?? []].flat().map((one) => (isRecord(one) && typeof one.type === 'string' ? one.type : ''));

/** The columns that a type of rows has other names for than are read here. */
const otherColumns: Readonly<Record<string, string>> = {
  intel: 'question is prompt here',
  argilla: 'instruction is prompt, chosen_response chosen and rejected_response rejected here',
  icr: 'input is prompt here',
};

/** Tells of keys that became no argument. */
function tellOwn(draft: Draft, given: ReadonlyMap<string, unknown>): void {
  tellRows(draft, given);
  const resumed = given.get('lora_model_dir');
  if (typeof resumed === 'string') {
    for (const key of ['type', 'r', 'alpha', 'targets', 'rslora', 'modulesToSave'])
      draft.settings.delete(`adapter.${key}`);
    draft.settings.set('adapter.resumeFrom', { value: resumed, comment: 'lora_model_dir' });
  }
  const adapter = given.get('adapter');
  if (adapter && !['lora', 'qlora'].includes(String(adapter)))
    draft.miss('adapter', `${adapter} is not here: lora and dora are`);
  const trl = given.get('trl');
  if (isRecord(trl)) tellTrl(draft, trl);
  const own = given.get('chat_template');
  if (typeof own === 'string' && !(own in templates) && own !== 'jinja') {
    draft.miss(
      'chat_template',
      `${own} is a template of axolotl: the recipe has the model's own; name a .jinja file if it is another`,
    );
  }
  for (const [key, value] of given) {
    if (value === null || Object.hasOwn(asTrl, key) || Object.hasOwn(axolotlOptions.translated, key)) continue;
    // A token that fills rows up has no use where rows are packed.
    const isPadding =
      key === 'special_tokens' && isRecord(value) && Object.keys(value).every((name) => name === 'pad_token');
    if (isPadding) draft.harmless.push({ option: key, text: 'rows are packed without padding' });
    else tellKey(draft, key, value);
  }
}

function tellTrl(draft: Draft, trl: Record<string, unknown>): void {
  for (const [key, value] of Object.entries(trl)) {
    if (key === 'beta' || value === null) continue;
    const isSync = /^(sync_ref_model|ref_model_)/.test(key);
    const text = isSync
      ? 'axolotl moves the reference of GRPO alone: with this rl it stays where it is, and so does that of the recipe; reference.update moves it'
      : 'axolotl reads it for GRPO alone';
    (isSync ? draft.remarks : draft.harmless).push({ option: `trl.${key}`, text });
  }
}

function tellRows(draft: Draft, given: ReadonlyMap<string, unknown>): void {
  const tests = given.get('test_datasets');
  if (Array.isArray(tests) && tests.length > 0) {
    const before = draft.settings.get('data.train')!;
    setSources(
      draft,
      tests.map((one) => sourceOf(draft, 'test_datasets', one)),
      'test_datasets',
    );
    const { value } = draft.settings.get('data.train')!;
    draft.settings.set('data.validation', { value, comment: 'test_datasets' });
    draft.settings.set('data.train', before);
  }
  for (const one of [given.get('datasets') ?? []].flat()) {
    if (!isRecord(one)) continue;
    const type = one.type;
    const rows = typeof type === 'string' ? (otherColumns[type.split('.')[1] ?? ''] ?? '') : '';
    if (isRecord(type) || String(type).startsWith('user_defined'))
      draft.miss('datasets', `type of ${one.path}: write rows in a form of ${dataPage}`);
    else if (rows !== '') draft.miss('datasets', `type ${type} of ${one.path}: ${rows}: rename the columns`);
    const fields = Object.entries(one).filter(
      ([key, name]) =>
        key.startsWith('field_') &&
        !['messages', 'conversations', 'chosen', 'rejected', 'prompt'].includes(String(name)),
    );
    if (fields.length > 0)
      draft.miss(
        'datasets',
        `${fields.map(([key, name]) => `${key}: ${name}`).join(', ')} of ${one.path}: rename the columns as ${dataPage} has them`,
      );
  }
}

function tellKey(draft: Draft, key: string, value: unknown): void {
  const options: Options = axolotlOptions;
  const why = options.harmless[key];
  const missing = options.untranslated[key];
  if (why !== undefined) draft.harmless.push({ option: key, text: why });
  else if (missing === undefined) draft.miss(key, 'is no key of axolotl that is known here');
  else if (!missing.off.some((one) => JSON.stringify(one) === JSON.stringify(value))) draft.miss(key, missing.why);
}
