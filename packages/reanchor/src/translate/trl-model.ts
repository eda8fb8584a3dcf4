/** From TRL's arguments of the model to `model`, `precision`, `matmul`, `adapter` and `quantize`. */
import { isRecord } from '../formats/index.js';
import type { Draft } from './draft.js';
import type { Trainer } from './trl-defaults.js';

/** Stands where a file names no model, or no rows. */
export const placeholder = (what: string) => `path/to/${what}`;

/** Sets the model and its precision. */
export function setModel(draft: Draft): void {
  const init = draft.value('model_init_kwargs');
  const kwargs = isRecord(init) ? init : {};
  const others = Object.keys(kwargs).filter(
    (name) => !/^(revision|dtype|torch_dtype|attn_implementation|use_cache|device_map|trust_remote_code)$/.test(name),
  );
  if (others.length > 0)
    draft.miss('model_init_kwargs', `${others.join(', ')}: models are loaded as their folder says`);
  const name = draft.text('model_name_or_path');
  const revision = draft.has('model_revision')
    ? draft.text('model_revision')
    : (kwargs.revision ?? draft.text('model_revision'));
  if (name === undefined) {
    draft.set('model', placeholder('model'));
    draft.miss('model', 'the file names no model: put its folder, or its name on the Hub, into the recipe');
  } else {
    const isNamed = revision !== undefined && revision !== 'main' && !name.includes('@');
    draft.set('model', isNamed ? `${name}@${revision}` : name, 'model_name_or_path', 'model_revision');
  }
  setPrecision(draft, kwargs.dtype ?? kwargs.torch_dtype);
}

function setPrecision(draft: Draft, ofKwargs: unknown): void {
  const option = 'dtype';
  const named = draft.has(option) ? draft.value(option) : (ofKwargs ?? draft.value(option));
  const dtype = String(named ?? 'auto').replace('torch.', '');
  const isHalf = draft.flag('fp16');
  const autocast = draft.value('bf16');
  const isAutocast = autocast === null || autocast === undefined ? !isHalf : draft.flag('bf16');
  const options = ['bf16', 'fp16', option];
  if (isHalf || dtype === 'float16') {
    draft.miss(isHalf ? 'fp16' : option, 'nothing is trained in float16 here: the recipe has bf16');
  }
  if (draft.flag('use_peft'))
    draft.set('precision', isAutocast || isHalf || dtype !== 'float32' ? 'bf16' : 'fp32', ...options);
  else if (dtype === 'float32') draft.set('precision', isAutocast || isHalf ? 'bf16' : 'fp32', ...options);
  else if (dtype === 'float16') draft.set('precision', 'bf16', ...options);
  else {
    draft.set('precision', 'bf16-params', ...options);
    const assumed = dtype === 'auto' ? ' (auto is the dtype of the folder, taken for bfloat16)' : '';
    draft.remark(
      option,
      `${dtype} has TRL train weights in bfloat16 alone${assumed}, which loses small updates: precision bf16 keeps float32 master weights`,
    );
  }
  const isTf32 = draft.flag('tf32');
  if (isTf32 && draft.settings.get('precision')?.value === 'fp32') draft.set('matmul', 'bf16', 'tf32');
}

/** Sets the adapter, and the form of the base under it. */
export function setAdapter(draft: Draft, trainer: Trainer): void {
  if (!draft.flag('use_peft')) return;
  const [type, r, alpha] = [
    draft.flag('use_dora') ? 'dora' : 'lora',
    draft.number('lora_r'),
    draft.number('lora_alpha'),
  ];
  draft.set('adapter.type', type, 'use_peft', 'use_dora');
  draft.set('adapter.r', r, 'lora_r');
  draft.set('adapter.alpha', alpha, 'lora_alpha');
  if (draft.flag('use_rslora')) draft.set('adapter.rslora', true, 'use_rslora');
  setTargets(draft);
  setDropout(draft, trainer, type);
  const modules = draft.value('lora_modules_to_save');
  if (modules !== null && modules !== undefined && [modules].flat().length > 0) {
    draft.set('adapter.modulesToSave', [modules].flat().map(String), 'lora_modules_to_save');
    if (draft.settings.get('precision')?.value === 'bf16') {
      draft.set('precision', 'fp32', 'lora_modules_to_save');
      draft.remark('lora_modules_to_save', 'whole modules are trained beside a base in float32: precision fp32');
    }
  }
  if (!draft.flag('load_in_4bit')) return;
  const kind = draft.text('bnb_4bit_quant_type');
  draft.set(
    'quantize',
    draft.flag('use_bnb_nested_quant') ? 'nf4-double' : 'nf4',
    'load_in_4bit',
    'bnb_4bit_quant_type',
    'use_bnb_nested_quant',
  );
  if (kind !== 'nf4') draft.miss('bnb_4bit_quant_type', `${kind} is not here: the base is kept in nf4`);
  draft.remark('load_in_4bit', 'TRL trains a QLoRA adapter in bfloat16; here its factors are float32');
}

function setTargets(draft: Draft): void {
  const given = draft.value('lora_target_modules');
  const names = given === null || given === undefined ? [] : [given].flat().map(String);
  if (names.length === 0) {
    draft.set('adapter.targets', '/.*\\.(q_proj|v_proj|query_key_value)/', 'lora_target_modules');
    draft.remark('lora_target_modules', "left out, it is PEFT's choice: queries and values alone; all-linear is ours");
  } else if (names.length > 1 || Array.isArray(given)) {
    const isAll = names.length === 1 && names[0] === 'all-linear';
    draft.set('adapter.targets', isAll ? 'all-linear' : names, 'lora_target_modules');
  } else {
    draft.set('adapter.targets', names[0] === 'all-linear' ? names[0] : `/${names[0]}/`, 'lora_target_modules');
  }
}

function setDropout(draft: Draft, trainer: Trainer, type: string): void {
  const dropout = draft.number('lora_dropout') ?? 0;
  const isOff = trainer !== 'sft' && draft.flag('disable_dropout');
  if (dropout === 0) return;
  if (isOff) {
    const told = `TRL sets it to 0: disable_dropout is true, and is of adapters too; adapter.dropout: ${dropout} would apply it`;
    if (draft.has('lora_dropout')) draft.remark('lora_dropout', told);
  } else if (type === 'dora') {
    draft.miss('lora_dropout', 'dora has no dropout here');
  } else {
    draft.set('adapter.dropout', dropout, 'lora_dropout');
    if (draft.has('disable_dropout'))
      draft.remark('disable_dropout', 'an adapter has dropout here, the model has none');
  }
}
