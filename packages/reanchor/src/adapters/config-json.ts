import { Float } from '../formats/index.js';
import type { AdapterConfig } from './config.js';
import { type LowRankShape, scaleOf } from './low-rank-shape.js';
import type { AdaptableNetwork } from './network.js';
import { targetNames } from './targets.js';

/** The keys that PEFT 0.21 writes, with its defaults, as they are once an adapter is saved. */
const defaults: Readonly<Record<string, unknown>> = {
  alora_invocation_tokens: null,
  alpha_pattern: {},
  arrow_config: null,
  auto_mapping: null,
  base_model_name_or_path: null,
  bias: 'none',
  corda_config: null,
  ensure_weight_tying: false,
  eva_config: null,
  exclude_modules: null,
  fan_in_fan_out: false,
  inference_mode: true,
  init_lora_weights: true,
  kasa_config: null,
  layer_replication: null,
  layers_pattern: null,
  layers_to_transform: null,
  loftq_config: {},
  lora_alpha: 8,
  lora_bias: false,
  lora_dropout: new Float(0),
  lora_ga_config: null,
  megatron_config: null,
  megatron_core: 'megatron.core',
  modules_to_save: null,
  monteclora_config: null,
  peft_type: 'LORA',
  peft_version: '0.21.0',
  qalora_group_size: 16,
  r: 8,
  rank_pattern: {},
  revision: null,
  target_modules: null,
  target_parameters: null,
  task_type: 'CAUSAL_LM',
  trainable_token_indices: null,
  use_bdlora: null,
  use_dora: false,
  use_qalora: false,
  use_rslora: false,
  velora_config: null,
};

/** An adapter that is described for the first time. */
export interface NewAdapter {
  network: AdaptableNetwork;
  /** The linear layers that are adapted, one at least. */
  modules: ReadonlyMap<string, LowRankShape>;
  /** Whether scales are alpha / sqrt(r). */
  rslora: boolean;
  dropout: number;
  /** The name or folder of the base. */
  base: string | undefined;
}

/**
 * The adapter_config.json of an adapter, with all keys of PEFT 0.21. Modules of another rank or alpha than most are in
 * `rank_pattern` and `alpha_pattern` by their paths. Errors: Error for modules that one config cannot describe.
 */
export function adapterConfigJson({ network, modules, rslora, dropout, base }: NewAdapter): Record<string, unknown> {
  const shapes = [...modules.values()];
  const [r, alpha] = [mostCommon(shapes.map((shape) => shape.r)), mostCommon(shapes.map((shape) => shape.alpha))];
  const [dora, bias] = [shapes.some(({ isDora }) => isDora), shapes.some(({ hasBias }) => hasBias)];
  for (const [module, shape] of modules) {
    if (shape.isDora !== dora || shape.hasBias !== bias)
      throw new Error(`${module}: all modules of an adapter are DoRA's, and have biases of B, or none`);
    if (Math.abs(scaleOf({ ...shape, rslora }) / shape.scale - 1) > 1e-12)
      throw new Error(`${module}: scale ${shape.scale} is not that of alpha ${shape.alpha} and r ${shape.r}`);
  }
  const except = (key: 'r' | 'alpha', usual: number) =>
    Object.fromEntries(
      [...modules].filter(([, shape]) => shape[key] !== usual).map(([path, shape]) => [path, shape[key]]),
    );
  return {
    ...defaults,
    base_model_name_or_path: base ?? null,
    target_modules: targetNames(modules.keys(), network),
    r,
    lora_alpha: alpha,
    rank_pattern: except('r', r),
    alpha_pattern: except('alpha', alpha),
    use_rslora: rslora,
    use_dora: dora,
    lora_bias: bias,
    lora_dropout: Number.isInteger(dropout) ? new Float(dropout) : dropout,
  };
}

/** What an adapter_config.json that was read says, with the keys that it lacked. */
export const rewrittenConfigJson = ({ json }: AdapterConfig): Record<string, unknown> => ({ ...defaults, ...json });

function mostCommon(values: readonly number[]): number {
  const counts = new Map<number, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  const [[value] = [Number.NaN]] = [...counts].sort(([, a], [, b]) => b - a);
  return value;
}
