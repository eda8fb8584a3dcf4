import { closeSync } from 'node:fs';
import { join } from 'node:path';
import { type Device, type DType, tensor as fromBytes, type Tensor, tidy } from '@reanchor/torch';
import { FormatError, shown, UserError, unreadable } from '../errors.js';
import { openSync, openWeights, readFile, readStored, type WeightTensor } from '../formats/index.js';
import { buildModel } from './architectures.js';
import type { CausalLM, ConfigJson } from './causal-lm.js';
import { weightDTypes } from './weight-dtypes.js';

/** Tables that old checkpoints carry and that are computed here. */
const leftovers = /\.rotary_emb\.inv_freq$|\.attention\.(masked_)?bias$/;

export interface LoadOptions {
  dtype: DType;
  /** The CPU when left out. */
  device?: Device | undefined;
  /**
   * Gives the network what it has in place of a weight that was read, and is then disposed; the weight itself when left
   * out.
   */
  place?: ((name: string, value: Tensor) => Tensor) | undefined;
}

/**
 * The language model in a Hugging Face folder (config.json and model.safetensors, or its shards with their index), its
 * parameters converted to `dtype` and put on `device` (the CPU when left out). Weight files are read tensor by tensor.
 * Strict: a missing, unexpected or misshapen weight is an error; only stored rotary tables and a stored copy of a tied
 * head are passed over. Errors: UserError, FormatError.
 */
export async function loadModel(
  folder: string,
  { dtype, device = 'cpu', place = (_, value) => value }: LoadOptions,
): Promise<CausalLM> {
  const configJson = await readConfig(folder);
  const checkpoint = await openWeights(folder);
  using files = new WeightFile();
  const used = new Set<string>();
  return tidy(() => {
    const model = buildModel(configJson, {
      parameter(name, shape) {
        const entry = checkpoint.get(name);
        if (!entry)
          throw new UserError(
            `${folder}: weight ${name} ${shapeText(shape)} is missing from the checkpoint; ${advice}`,
          );
        if (entry.shape.length !== shape.length || entry.shape.some((size, i) => size !== shape[i])) {
          throw new FormatError(
            `weight ${name} has shape ${shapeText(entry.shape)}; config.json asks for ${shapeText(shape)}`,
            { file: entry.file },
          );
        }
        used.add(name);
        const value = readTensor(name, entry, { dtype, device }, files);
        const placed = place(name, value);
        if (placed !== value) value.dispose();
        return placed;
      },
    });
    refuseUnexpected(folder, model, checkpoint, used, files);
    return model.keep();
  });
}

/**
 * The weight file that was last asked for. It is read, not mapped: a file that becomes shorter meanwhile would end a
 * process that has it mapped (SIGBUS).
 */
class WeightFile implements Disposable {
  #open: { file: string; handle: number } | undefined;

  bytes(entry: WeightTensor): Uint8Array {
    if (this.#open?.file !== entry.file) {
      this[Symbol.dispose]();
      this.#open = { file: entry.file, handle: openSync(entry.file) };
    }
    return readStored(this.#open.handle, entry, entry.file);
  }

  [Symbol.dispose](): void {
    if (this.#open) closeSync(this.#open.handle);
    this.#open = undefined;
  }
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

function readTensor(
  name: string,
  entry: WeightTensor,
  { dtype, device }: { dtype: DType; device: Device },
  files: WeightFile,
): Tensor {
  const stored = weightDTypes[entry.dtype];
  if (!stored) {
    throw new FormatError(
      `weight ${name} is ${entry.dtype}; weights in ${Object.keys(weightDTypes).join(', ')} can be loaded, quantised ones cannot`,
      { file: entry.file },
    );
  }
  const bytes = files.bytes(entry);
  return tidy(() => fromBytes(bytes).view(stored).view(entry.shape).to({ dtype, device }));
}

function refuseUnexpected(
  folder: string,
  model: CausalLM,
  checkpoint: Map<string, WeightTensor>,
  used: Set<string>,
  files: WeightFile,
): void {
  const unexpected = [...checkpoint.keys()].filter((name) => !used.has(name) && !leftovers.test(name));
  const problem = unexpected.find(
    (name) => !(name === 'lm_head.weight' && isTiedCopy(model, checkpoint.get(name)!, files)),
  );
  if (problem === undefined) return;
  const others = unexpected.length === 1 ? '' : ` and ${unexpected.length - 1} more`;
  throw new UserError(
    `${folder}: the checkpoint holds ${problem} ${shapeText(checkpoint.get(problem)!.shape)}${others}, ` +
      `which the network of config.json does not have; ${advice}`,
  );
}

/** Some checkpoints with a tied head store the head as well; it may be dropped when it is the embedding. */
function isTiedCopy(model: CausalLM, entry: WeightTensor, files: WeightFile): boolean {
  return tidy(() => {
    const head = readTensor('lm_head.weight', entry, model, files);
    return (
      !model.parameters.has('lm_head.weight') &&
      head.shape.join() === model.head_VD.shape.join() &&
      head.equal(model.head_VD)
    );
  });
}

const advice = 'config.json and the weights must belong together: fetch the folder again';
const shapeText = (shape: readonly number[]) => `[${shape.join(', ')}]`;
