import { type DType, type Tensor, tidy } from '@reanchor/torch';
import { shown, UserError } from '../errors.js';
import type { ParameterSource } from '../nn/module.js';
import { documentation } from '../version.js';
import type { CausalLM, ConfigJson } from './causal-lm.js';
import { ConfigReader } from './config-reader.js';
import { GptNeox } from './gpt-neox/model.js';
import { Llama } from './llama/model.js';

interface Architecture {
  network: new (configJson: ConfigJson, source: ParameterSource) => CausalLM;
  /** What transformers calls the language model; its name stands in `architectures` of config.json. */
  className: string;
}

/** The architectures by `model_type` of config.json. */
const architectures: Record<string, Architecture> = {
  llama: { network: Llama, className: 'LlamaForCausalLM' },
  mistral: { network: Llama, className: 'MistralForCausalLM' },
  qwen2: { network: Llama, className: 'Qwen2ForCausalLM' },
  qwen3: { network: Llama, className: 'Qwen3ForCausalLM' },
  gpt_neox: { network: GptNeox, className: 'GPTNeoXForCausalLM' },
};

/**
 * A network of the architecture that `configJson` names, its parameters taken from `source`; they belong to the current
 * scope until `keep`.
 */
export function buildModel(configJson: ConfigJson, source: ParameterSource): CausalLM {
  const { network: Network } = architectureOf(configJson);
  // The network is built without it; a warning of too long rows goes by it.
  if (configJson.max_position_embeddings != null) new ConfigReader(configJson).integer('max_position_embeddings');
  return new Network(configJson, source);
}

/** The class of transformers that loads such a model. Errors: UserError for an architecture that is not supported. */
export const causalClassName = (configJson: ConfigJson): string => architectureOf(configJson).className;

function architectureOf({ model_type: type }: ConfigJson): Architecture {
  const known = typeof type === 'string' && Object.hasOwn(architectures, type) ? architectures[type] : undefined;
  if (!known) {
    throw new UserError(
      `config.json: architecture ${shown(type)} (model_type) is not supported; supported: ` +
        `${Object.keys(architectures).join(', ')}. ${documentation('guide/adding-a-model.md')} says how to add one`,
    );
  }
  return known;
}

/**
 * A model of its own with equal parameters, which do not ask for gradients: a reference policy, or a snapshot. In
 * another `dtype` they are equal but for rounding. `shared` gives parameters that are not copied, and stay in its
 * memory.
 */
export function copyModel(
  model: CausalLM,
  dtype: DType = model.dtype,
  shared: (name: string) => Tensor | undefined = () => undefined,
): CausalLM {
  return tidy(() =>
    buildModel(model.configJson, {
      kernels: model.kernels,
      parameter(name) {
        const own = shared(name)?.detach();
        if (own) return own;
        const parameter = model.parameters.get(name)!.detach();
        return dtype === parameter.dtype ? parameter.clone() : parameter.to(dtype);
      },
      quantized: (name) => model.quantized.get(name)?.share(),
      lowRank: (layer) => model.lowRank.get(layer),
    }).keep(),
  );
}
