import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type DType, fromFile, keep, type Tensor, tidy } from '@reanchor/torch';
import { FormatError, UserError } from '../errors.js';
import { type CheckpointTensor, openCheckpoint } from '../formats/index.js';
import { buildModel } from './architectures.js';
import type { CausalLM, ConfigJson } from './causal-lm.js';

const weightDTypes: Record<string, DType> = { F64: 'float64', F32: 'float32', F16: 'float16', BF16: 'bfloat16' };

/** Tensors that old checkpoints carry and no network needs: tables that are computed. */
const leftovers = /\.rotary_emb\.inv_freq$|\.attn\.(bias|masked_bias)$/;

/**
 * The language model in a Hugging Face folder (config.json and model.safetensors, or its shards with their index), its parameters converted to
 * `dtype`. Weight files are memory-mapped and copied tensor by tensor. Strict: a missing, unexpected or misshapen weight is an error.
 */
export async function loadModel(folder: string, options: { dtype: DType }): Promise<CausalLM> {
  const configJson = await readConfig(folder);
  const checkpoint = await openCheckpoint(folder);
  const used = new Set<string>();
  const files = new Map<string, Tensor>();
  const model = tidy(() =>
    buildModel(configJson, (name, shape) => {
      const entry = checkpoint.get(name);
      if (!entry)
        throw new UserError(`${folder}: weight ${name} ${shapeText(shape)} is missing from the checkpoint; ${advice}`);
      if (entry.shape.length !== shape.length || entry.shape.some((size, i) => size !== shape[i])) {
        throw new FormatError(
          `weight ${name} has shape ${shapeText(entry.shape)}; config.json asks for ${shapeText(shape)}`,
          { file: entry.file },
        );
      }
      used.add(name);
      return readTensor(name, entry, options.dtype, files);
    }),
  );
  refuseUnexpected(folder, model, checkpoint, used);
  return model;
}

async function readConfig(folder: string): Promise<ConfigJson> {
  const file = join(folder, 'config.json');
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    throw new UserError(
      `${file} cannot be read (${(cause as NodeJS.ErrnoException).code}): a model is a Hugging Face folder with config.json, ` +
        'model.safetensors and tokenizer.json',
      { cause },
    );
  }
  try {
    return JSON.parse(text) as ConfigJson;
  } catch (cause) {
    throw new FormatError(`not JSON: ${(cause as Error).message}`, { file, cause });
  }
}

function readTensor(name: string, entry: CheckpointTensor, dtype: DType, files: Map<string, Tensor>): Tensor {
  const stored = weightDTypes[entry.dtype];
  if (!stored) {
    throw new FormatError(
      `weight ${name} is ${entry.dtype}; weights in ${Object.keys(weightDTypes).join(', ')} can be loaded, quantised ones cannot`,
      { file: entry.file },
    );
  }
  const cached = files.get(entry.file);
  const bytes = cached ?? fromFile(entry.file, false, entry.fileBytes, { dtype: 'uint8' });
  if (!cached) files.set(entry.file, bytes);
  return tidy(() => {
    const slice = bytes.narrow(0, entry.begin, entry.end - entry.begin);
    const aligned = entry.begin % 8 === 0 ? slice : slice.clone();
    return keep(aligned.view(stored).view(entry.shape).to(dtype, false, true));
  });
}

function refuseUnexpected(
  folder: string,
  model: CausalLM,
  checkpoint: Map<string, CheckpointTensor>,
  used: Set<string>,
): void {
  const unexpected = [...checkpoint.keys()].filter((name) => !used.has(name) && !leftovers.test(name));
  const problem = unexpected.find((name) => !(name === 'lm_head.weight' && isTiedCopy(model, checkpoint.get(name)!)));
  if (problem === undefined) return;
  const others = unexpected.length === 1 ? '' : ` and ${unexpected.length - 1} more`;
  throw new UserError(
    `${folder}: the checkpoint holds ${problem} ${shapeText(checkpoint.get(problem)!.shape)}${others}, ` +
      `which the network of config.json does not have; ${advice}`,
  );
}

/** Some checkpoints with a tied head store the head as well; it may be dropped when it is the embedding. */
function isTiedCopy(model: CausalLM, entry: CheckpointTensor): boolean {
  return tidy(() => {
    const head = readTensor('lm_head.weight', entry, model.dtype, new Map());
    const equal = head.shape.join() === model.head_VD.shape.join() && head.equal(model.head_VD);
    head.dispose();
    return equal;
  });
}

const advice = 'config.json and the weights must belong together: fetch the folder again';
const shapeText = (shape: readonly number[]) => `[${shape.join(', ')}]`;
