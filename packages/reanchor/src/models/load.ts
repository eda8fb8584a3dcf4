import { join } from 'node:path';
import { type Device, type DType, type Tensor, tidy } from '@reanchor/torch';
import { type BaseQuantization, headParameter } from '../adapters/index.js';
import { FormatError, shown, UserError, unreadable } from '../errors.js';
import { readFile } from '../formats/index.js';
import { isFactor } from '../nn/low-rank.js';
import type { KernelForm } from '../nn/module.js';
import { Nf4Weight } from '../nn/nf4-weight.js';
import { adaptedConfig, factorDType, type ModelAdapter } from './adapter.js';
import { buildModel } from './architectures.js';
import type { CausalLM, ConfigJson } from './causal-lm.js';
import { networkOf } from './network.js';
import { StoredWeights } from './stored-weights.js';

export interface LoadOptions {
  dtype: DType;
  /** The CPU when left out. */
  device?: Device | undefined;
  /**
   * Gives the network what it has in place of a weight that was read, and is then disposed; the weight itself when left
   * out.
   */
  place?: ((name: string, value: Tensor) => Tensor) | undefined;
  /** What is put on the model while it is loaded. */
  adapter?: ModelAdapter | undefined;
  /** The form of the matrices of the blocks, where they are not trained; as they are stored when left out. */
  quantize?: BaseQuantization | undefined;
  /** In which form its layers compute; composed when left out. */
  kernels?: KernelForm | undefined;
}

/**
 * The language model in a Hugging Face folder (config.json and model.safetensors, or its shards with their index), its
 * parameters converted to `dtype` and put on `device` (the CPU when left out); matrices that are stored in NF4 stay so.
 * Weight files are read tensor by tensor. Strict: a missing, unexpected or misshapen weight is an error; only stored
 * rotary tables and a stored copy of a tied head are passed over. Errors: UserError, FormatError.
 */
export async function loadModel(
  folder: string,
  { dtype, device = 'cpu', place = (_, value) => value, adapter, quantize, kernels }: LoadOptions,
): Promise<CausalLM> {
  const stored = await readConfig(folder);
  using weights = await StoredWeights.open(folder, stored, { dtype, device });
  const configJson = adapter ? adaptedConfig(stored, adapter) : stored;
  const network = adapter && networkOf(stored);
  return tidy(() => {
    // The weight of the layer whose factors may come next; one that was placed elsewhere is freed by what follows it.
    let last: { weight: Tensor | Nf4Weight; free?: () => void } | undefined;
    const remember = (weight: Tensor | Nf4Weight, free?: () => void) => {
      last?.free?.();
      last = { weight, ...(free && { free }) };
    };
    const matrix = () => {
      const { weight } = last!;
      return weight instanceof Nf4Weight ? weight.dense(dtype) : weight.detach();
    };
    const model = buildModel(configJson, {
      kernels,
      parameter(name, shape) {
        if (isFactor(name)) return adapter!.factor(name, shape, { device, dtype: factorDType(dtype), matrix });
        // A head that an adapter has made another than the embedding begins as that.
        const isUntied = adapter?.untiesHead && name === headParameter(network!) && !weights.has(name);
        const value = weights.take(isUntied ? network!.embedding : name, shape);
        const patched = adapter?.patched(name, value) ?? value;
        if (patched !== value) value.dispose();
        const placed = place(name, patched);
        if (shape.length > 1) remember(patched, placed === patched ? undefined : () => patched.dispose());
        else if (placed !== patched) patched.dispose();
        return placed;
      },
      quantized(name, shape) {
        if (adapter?.whole.includes(name)) return undefined;
        const weight = weights.takeNf4(name, shape, quantize);
        if (weight) remember(weight);
        return weight;
      },
      lowRank: (layer) => adapter?.lowRank(layer),
    });
    last?.free?.();
    weights.refuseLeft({ parameters: model.parameters, head: () => model.head_VD });
    return model.keep();
  });
}

/** The config.json of a model folder. Errors: UserError, FormatError. */
export async function readConfig(folder: string): Promise<ConfigJson> {
  const file = join(folder, 'config.json');
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    throw new UserError(
      `${unreadable(file, cause)}: a model is a Hugging Face folder with config.json, ` +
        'model.safetensors and tokenizer.json; of a run it is the folder final/',
      { cause },
    );
  }
  let config: unknown;
  try {
    config = JSON.parse(text);
  } catch (cause) {
    throw new FormatError(`not JSON: ${(cause as Error).message}`, { file, cause });
  }
  if (typeof config !== 'object' || config === null || Array.isArray(config)) {
    throw new FormatError('not a JSON object', { file });
  }
  const key = keyOfInfinite(config);
  if (key !== undefined)
    throw new FormatError(`${shown(key)} is too large for a number: a finite one is needed`, { file });
  return config as ConfigJson;
}

/** The key of a number that JSON allows and that no number type holds, such as 1e400; undefined where there is none. */
function keyOfInfinite(config: object): string | undefined {
  // Not by recursion: what was written elsewhere may be deeper than the stack.
  const left = Object.entries(config);
  for (let entry = left.pop(); entry !== undefined; entry = left.pop()) {
    const [key, value] = entry as [string, unknown];
    if (typeof value === 'number' && !Number.isFinite(value)) return key;
    if (typeof value === 'object' && value !== null) left.push(...Object.entries(value));
  }
  return undefined;
}
