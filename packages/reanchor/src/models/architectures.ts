import { tidy } from '@reanchor/torch';
import { shown, UserError } from '../errors.js';
import type { ParameterSource } from '../nn/module.js';
import type { CausalLM, ConfigJson } from './causal-lm.js';
import { GptNeox } from './gpt-neox/model.js';
import { Llama } from './llama/model.js';

/** The architectures by `model_type` of config.json. */
const architectures: Record<string, new (configJson: ConfigJson, source: ParameterSource) => CausalLM> = {
  llama: Llama,
  mistral: Llama,
  qwen2: Llama,
  qwen3: Llama,
  gpt_neox: GptNeox,
};

/**
 * A network of the architecture that `configJson` names, its parameters taken from `source`; they belong to the current
 * scope until `keep`.
 */
export function buildModel(configJson: ConfigJson, source: ParameterSource): CausalLM {
  const type = configJson.model_type;
  const Architecture = typeof type === 'string' && Object.hasOwn(architectures, type) ? architectures[type] : undefined;
  if (!Architecture) {
    throw new UserError(
      `config.json: architecture ${shown(type)} (model_type) is not supported; supported: ` +
        `${Object.keys(architectures).join(', ')}. docs/adding-a-model.md says how to add one`,
    );
  }
  return new Architecture(configJson, source);
}

/** A model of its own with equal parameters, which do not ask for gradients: a reference policy, or a snapshot. */
export function copyModel(model: CausalLM): CausalLM {
  return tidy(() => buildModel(model.configJson, (name) => model.parameters.get(name)!.detach().clone()).keep());
}
