import { join } from 'node:path';
import { type DType, dtypeBytes, type Tensor, tidy } from '@reanchor/torch';
import { UserError } from '../errors.js';
import { writeFileAtomic, writeWeights } from '../formats/index.js';
import type { CausalLM, ConfigJson } from './causal-lm.js';
import { savedConfig } from './saved-config.js';
import { storedName } from './weight-dtypes.js';

export interface SaveOptions {
  /** The dtype that the weights are stored in; their own when left out. */
  dtype?: DType | undefined;
  /** The most bytes of one weight file, as far as single weights allow; 5 GB when left out. */
  maxShardBytes?: number | undefined;
  /** Keys of config.json that have other values than when the model was loaded. */
  config?: ConfigJson | undefined;
}

/** A tensor that is to be stored, whose values are asked for once, when its turn comes. */
export interface StoredParameter {
  name: string;
  shape: readonly number[];
  dtype: DType;
  value(): Tensor;
}

/**
 * Writes the model into `folder` in Hugging Face's layout: model.safetensors, or its shards with their index, with the
 * names it was loaded with, and its config.json ({@link savedConfig}; the dtype is that of the stored weights). Tied
 * weights are written once, one weight is converted at a time. Errors: UserError when the folder cannot be written, or
 * a weight is beyond the range of `dtype`.
 */
export function saveModel(model: CausalLM, folder: string, options: SaveOptions = {}): Promise<void> {
  const parameters = [...model.parameters].map(([name, parameter]): StoredParameter => {
    return { name, shape: parameter.shape, dtype: parameter.dtype, value: () => parameter };
  });
  return saveParameters({ configJson: model.configJson, dtype: model.dtype, parameters }, folder, options);
}

/** {@link saveModel} of parameters that are brought one by one, in this order. */
export async function saveParameters(
  model: { configJson: ConfigJson; dtype: DType; parameters: readonly StoredParameter[] },
  folder: string,
  { dtype = model.dtype, maxShardBytes = 5e9, config }: SaveOptions = {},
): Promise<void> {
  const tensors = model.parameters.map(({ name, shape, value }) => ({
    name,
    dtype: storedName(dtype),
    shape,
    bytes: () => tidy(() => rawBytes(name, value(), dtype)),
  }));
  await writeWeights(folder, tensors, { maxShardBytes, metadata: { format: 'pt' } });
  const json = JSON.stringify(savedConfig(model.configJson, dtype, config), null, 2);
  await writeFileAtomic(join(folder, 'config.json'), `${json}\n`);
}

/** The bytes of the model's weights on disk, in `dtype` or their own. */
export function modelBytes(model: CausalLM, dtype: DType = model.dtype): number {
  return [...model.parameters.values()].reduce((n, parameter) => n + parameter.numel * dtypeBytes(dtype), 0);
}

/** A parameter's elements as files have them, in `dtype`. Errors: UserError for a value beyond its range. */
export function rawBytes(name: string, parameter: Tensor, dtype: DType): Uint8Array {
  return tidy(() => {
    const stored = parameter.detach().to(dtype).contiguous().reshape([-1]);
    if (dtype === 'float16' && parameter.dtype !== 'float16' && stored.isinf().any().item()) {
      throw new UserError(
        `weight ${name} has a value beyond 65504, the largest number of float16: store the model in bfloat16 or float32`,
      );
    }
    return stored.view('uint8').data();
  }) as Uint8Array;
}
