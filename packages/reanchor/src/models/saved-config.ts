/**
 * What config.json of a saved model says: what the model was loaded with, less what is not true of the saved folder.
 */
import type { DType } from '@reanchor/torch';
import { shown } from '../errors.js';
import { causalClassName } from './architectures.js';
import type { ConfigJson } from './causal-lm.js';

/**
 * Keys that speak of another folder than the saved one: how its weights were quantised, its code, its name and its
 * weight files; and of a slower arithmetic that only imitates how Llama 2 was trained.
 */
const untrue = [
  'quantization_config',
  'compression_config',
  '_pre_quantization_dtype',
  'auto_map',
  '_name_or_path',
  '_commit_hash',
  'transformers_weights',
  'pretraining_tp',
];

/**
 * The config.json of a model that is stored in `dtype`; `changes` are keys that the training has given other values.
 */
export function savedConfig(configJson: ConfigJson, dtype: DType, changes: ConfigJson = {}): ConfigJson {
  const { torch_dtype: _old, dtype: _new, ...config } = { ...configJson, ...changes };
  const kept = Object.fromEntries(Object.entries(config).filter(([key]) => !untrue.includes(key)));
  const dtypeKey = 'torch_dtype' in configJson ? 'torch_dtype' : 'dtype';
  return { ...kept, architectures: [causalClassName(configJson)], [dtypeKey]: dtype };
}

/**
 * What is to be said of a model whose config.json speaks of quantised weights, where it has none; `quantized` are its
 * matrices of four bits, where it is loaded.
 */
export function quantizationNote(
  { quantization_config: config }: ConfigJson,
  quantized?: ReadonlyMap<string, unknown>,
): string | undefined {
  if (config === undefined || config === null || (quantized?.size ?? 0) > 0) return undefined;
  const method = (config as { quant_method?: unknown }).quant_method;
  if (quantized === undefined && method === 'bitsandbytes') return undefined;
  return (
    `config.json of the model has a quantization_config (${shown(method ?? config)}), and its weights are not quantised: ` +
    'it is not heeded, and a model that is saved has none'
  );
}
