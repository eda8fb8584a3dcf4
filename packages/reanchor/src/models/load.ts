import { join } from 'node:path';
import { type Device, type DType, fromFile, isDType, type Tensor, tidy } from '@reanchor/torch';
import { FormatError, shown, UserError, unreadable } from '../errors.js';
import { type CheckpointTensor, openCheckpoint, readFile } from '../formats/index.js';
import { buildModel } from './architectures.js';
import type { CausalLM, ConfigJson } from './causal-lm.js';
import { weightDTypes } from './weight-dtypes.js';

/** Tables that old checkpoints carry and that are computed here. */
const leftovers = /\.rotary_emb\.inv_freq$|\.attention\.(masked_)?bias$/;

/**
 * The language model in a Hugging Face folder (config.json and model.safetensors, or its shards with their index), its
 * parameters converted to `dtype` and put on `device` (the CPU when left out). Weight files are memory-mapped one at a time and copied tensor by tensor. Strict: a
 * missing, unexpected or misshapen weight is an error; only stored rotary tables and a stored copy of a tied head are
 * passed over. Errors: UserError, FormatError.
 */
export async function loadModel(
  folder: string,
  { dtype, device = 'cpu' }: { dtype: DType; device?: Device | undefined },
): Promise<CausalLM> {
  const configJson = await readConfig(folder);
  const checkpoint = await openCheckpoint(folder);
  const files = new MappedFile();
  const used = new Set<string>();
  return tidy(() => {
    const model = buildModel(configJson, (name, shape) => {
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
      return readTensor(name, entry, { dtype, device }, files);
    });
    refuseUnexpected(folder, model, checkpoint, used, files);
    return model.keep();
  });
}

/**
 * The bytes of the weight file that was last asked for; the one before is unmapped, so that its pages do not count any
 * more.
 */
class MappedFile {
  #file: string | undefined;
  #bytes: Tensor | undefined;

  bytes({ file, fileBytes }: CheckpointTensor): Tensor {
    if (this.#bytes && this.#file === file) return this.#bytes;
    this.#bytes?.dispose();
    this.#file = file;
    this.#bytes = fromFile(file, false, fileBytes, { dtype: 'uint8' });
    return this.#bytes;
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

/** The dtype that the config.json of a model folder gives; of those that training saves it is that of every weight. */
export async function storedDType(folder: string): Promise<DType> {
  const { dtype, torch_dtype: old } = await readConfig(folder);
  const name = dtype ?? old;
  if (typeof name === 'string' && isDType(name)) return name;
  throw new FormatError('it names no dtype of weights', { file: join(folder, 'config.json') });
}

function readTensor(
  name: string,
  entry: CheckpointTensor,
  { dtype, device }: { dtype: DType; device: Device },
  files: MappedFile,
): Tensor {
  const stored = weightDTypes[entry.dtype];
  if (!stored) {
    throw new FormatError(
      `weight ${name} is ${entry.dtype}; weights in ${Object.keys(weightDTypes).join(', ')} can be loaded, quantised ones cannot`,
      { file: entry.file },
    );
  }
  const bytes = files.bytes(entry);
  return tidy(() => {
    const slice = bytes.narrow(0, entry.begin, entry.end - entry.begin);
    // A view as a wider type must begin at a multiple of its size; the format does not promise that.
    const aligned = entry.begin % 8 === 0 ? slice : slice.clone();
    return aligned.view(stored).view(entry.shape).to({ dtype, device, copy: true });
  });
}

function refuseUnexpected(
  folder: string,
  model: CausalLM,
  checkpoint: Map<string, CheckpointTensor>,
  used: Set<string>,
  files: MappedFile,
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
function isTiedCopy(model: CausalLM, entry: CheckpointTensor, files: MappedFile): boolean {
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
