import { join } from 'node:path';
import { type DType, dtypeBytes, type Tensor, tidy } from '@reanchor/torch';
import { writeFileAtomic, writeSafetensors } from '../formats/index.js';
import type { CausalLM } from './causal-lm.js';
import { weightDTypes } from './weight-dtypes.js';

const storedName = (dtype: DType) => Object.keys(weightDTypes).find((name) => weightDTypes[name] === dtype)!;

/**
 * Writes the model into `folder` in Hugging Face's layout: model.safetensors with the names it was loaded with, and its
 * config.json (all keys kept; the dtype is that of the weights). Tied weights are written once. Errors: UserError when
 * the folder cannot be written.
 */
export async function saveModel(model: CausalLM, folder: string): Promise<void> {
  const tensors = [...model.parameters].map(([name, parameter]) => ({
    name,
    dtype: storedName(parameter.dtype),
    shape: parameter.shape,
    bytes: () => rawBytes(parameter),
  }));
  await writeSafetensors(join(folder, 'model.safetensors'), tensors, { format: 'pt' });
  const { torch_dtype: _old, dtype: _new, ...config } = model.configJson;
  const dtypeKey = 'torch_dtype' in model.configJson ? 'torch_dtype' : 'dtype';
  await writeFileAtomic(
    join(folder, 'config.json'),
    `${JSON.stringify({ ...config, [dtypeKey]: model.dtype }, null, 2)}\n`,
  );
}

/** The bytes of the model's weights on disk. */
export function modelBytes(model: CausalLM): number {
  return [...model.parameters.values()].reduce((n, parameter) => n + parameter.numel * dtypeBytes(parameter.dtype), 0);
}

function rawBytes(parameter: Tensor): Uint8Array {
  return tidy(() => parameter.detach().contiguous().reshape([-1]).view('uint8').data()) as Uint8Array;
}
