/**
 * Weights that bitsandbytes has stored in NF4. Of a weight X a checkpoint has its codes as X, and beside it X.absmax
 * (fp32, or uint8 where it is quantised too, with X.nested_absmax and X.nested_quant_map), X.quant_map, the table of
 * the 16 values, and X.quant_state.bitsandbytes__nf4, bytes of JSON with shape, block size and dtype.
 */
import { type Device, type DType, nf4Table, type Tensor, tensor, tidy } from '@reanchor/torch';
import { FormatError, shown } from '../errors.js';
import { isRecord, type SafetensorsDType, type WeightTensor } from '../formats/index.js';
import { Nf4Weight, nf4Suffixes } from '../nn/nf4-weight.js';
import type { ConfigJson } from './causal-lm.js';
import { weightDTypes } from './weight-dtypes.js';

const dtypes: readonly DType[] = ['float32', 'bfloat16', 'float16'];
const blockSizes: readonly number[] = [32, 64, 128, 256, 512, 1024, 2048, 4096];
/** The largest state that is read, in bytes; one has about 170. */
const stateLimit = 65_536;

const advice = 'fetch the folder again, or quantise the model anew with bitsandbytes';

/** What is needed of a checkpoint to read its weights. */
export interface Nf4Source {
  /** The tensors of the checkpoint, as `openWeights` gives them. */
  checkpoint: ReadonlyMap<string, WeightTensor>;
  configJson: ConfigJson;
  /** The bytes of a tensor. */
  bytes(entry: WeightTensor): Uint8Array;
}

/** What the state of a weight says. */
interface State {
  shape: number[];
  blockSize: number;
  dtype: DType;
  nested: { blockSize: number; offset: number } | undefined;
}

/** A weight that a checkpoint has in NF4; its tensors are there and of the right sizes, and are read by `read`. */
export class StoredNf4 {
  /** The shape of the dense weight, [O, I]. */
  readonly shape: readonly number[];
  /** The names of the tensors beside the weight that belong to it. */
  readonly sideNames: ReadonlySet<string>;

  constructor(
    private readonly name: string,
    private readonly source: Nf4Source,
    private readonly state: State,
  ) {
    this.shape = state.shape;
    const { absmax, map, nestedAbsmax, nestedMap, state: stateSuffix } = nf4Suffixes;
    const suffixes = [absmax, map, stateSuffix, ...(state.nested ? [nestedAbsmax, nestedMap] : [])];
    this.sideNames = new Set(suffixes.map((suffix) => name + suffix));
    this.#checkSizes();
  }

  /** The weight, which belongs to the current scope until its `keep`. Errors: FormatError for another table. */
  read(device: Device = 'cpu'): Nf4Weight {
    const { shape, blockSize, dtype, nested } = this.state;
    const suffix = nf4Suffixes;
    const parts = tidy(() => {
      const stored = (added: string, type: DType) => tensor(this.source.bytes(this.#entry(added))).view(type);
      const part = (added: string, type: DType) => stored(added, type).to({ device });
      if (!stored(suffix.map, 'float32').equal(nf4Table())) {
        throw this.#error(suffix.map, `it is not the table of NF4, and no other is read; ${advice}`);
      }
      const packed = part('', 'uint8').view([-1, 1]);
      if (!nested) return { packed, absmax: part(suffix.absmax, 'float32') };
      const codes = part(suffix.absmax, 'uint8');
      const map = part(suffix.nestedMap, 'float32');
      const nestedAbsmax = part(suffix.nestedAbsmax, 'float32');
      return { packed, absmax: { codes, map, nestedAbsmax, ...nested } };
    });
    return new Nf4Weight({ ...parts, shape, blockSize, dtype });
  }

  /** The dense values, rounded to the stored dtype and then in `dtype`, for a model that is not to be quantised. */
  dense({ dtype, device = 'cpu' }: { dtype: DType; device?: Device | undefined }): Tensor {
    return tidy(() => this.read(device).dense(dtype));
  }

  #checkSizes(): void {
    const { shape, blockSize, nested } = this.state;
    const values = shape.reduce((product, size) => product * size, 1);
    const blocks = Math.ceil(values / blockSize);
    const { absmax, map, nestedAbsmax, nestedMap } = nf4Suffixes;
    // The bytes alone count: FSDP has the codes stored under the name of another dtype.
    const { begin, end } = this.#entry('');
    if (end - begin !== Math.ceil(values / 2)) {
      throw this.#error(
        '',
        `its codes have ${end - begin} bytes; ${this.#needs(Math.ceil(values / 2))} bytes; ${advice}`,
      );
    }
    this.#requireSize(absmax, nested ? 'U8' : 'F32', blocks);
    this.#requireSize(map, 'F32', 16);
    if (!nested) return;
    this.#requireSize(nestedAbsmax, 'F32', Math.ceil(blocks / nested.blockSize));
    this.#requireSize(nestedMap, 'F32', 256);
  }

  #requireSize(added: string, dtype: SafetensorsDType, size: number): void {
    const entry = this.#entry(added);
    const numel = entry.shape.reduce((product, n) => product * n, 1);
    if (entry.dtype === dtype && numel === size) return;
    throw this.#error(
      added,
      `it is ${entry.dtype} with ${numel} elements; ${this.#needs(size)} of ${dtype}; ${advice}`,
    );
  }

  #needs(count: number): string {
    return `shape [${this.shape.join(', ')}] in blocks of ${this.state.blockSize} needs ${count}`;
  }

  #entry(added: string): WeightTensor {
    const entry = this.source.checkpoint.get(this.name + added);
    if (entry) return entry;
    throw this.#error(nf4Suffixes.state, `the weight has no tensor ${shown(this.name + added)}; ${advice}`);
  }

  #error(added: string, message: string): FormatError {
    const name = this.name + added;
    return tensorError(name, this.source.checkpoint.get(name)!, message);
  }
}

/**
 * The weight called `name` where the checkpoint has it in NF4; undefined where it is in a floating dtype, or absent.
 * Errors: FormatError with file and tensor for other quantisations, and for what is missing or does not fit.
 */
export function findNf4(name: string, source: Nf4Source): StoredNf4 | undefined {
  const { checkpoint, configJson } = source;
  const weight = checkpoint.get(name);
  if (!weight) return undefined;
  const state = checkpoint.get(name + nf4Suffixes.state);
  const isFp4 = checkpoint.has(`${name}.quant_state.bitsandbytes__fp4`);
  if (!state && !isFp4 && weightDTypes[weight.dtype]) return undefined;
  const { quantization_config: config } = configJson;
  const method = isRecord(config) ? config.quant_method : undefined;
  if (!state || (method !== undefined && method !== 'bitsandbytes')) {
    const stored = isFp4
      ? "in bitsandbytes' fp4"
      : `${weight.dtype}, with quant_method ${shown(method)} in config.json`;
    throw tensorError(
      name,
      weight,
      `it is stored ${stored}; of quantised weights those in bitsandbytes' nf4 are read: ` +
        'take a folder that has the model in nf4, or not quantised',
    );
  }
  return new StoredNf4(name, source, parseState(name + nf4Suffixes.state, state, source));
}

/** The state of a weight. Errors: FormatError. */
function parseState(name: string, entry: WeightTensor, source: Nf4Source): State {
  const fail = (message: string): never => {
    throw tensorError(name, entry, `${message}; ${advice}`);
  };
  if (entry.end - entry.begin > stateLimit)
    fail(`it has ${entry.end - entry.begin} bytes; at most ${stateLimit} are read`);
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(source.bytes(entry)));
  } catch {
    fail('it is not JSON');
  }
  if (!isRecord(json)) return fail('it is not a JSON object');
  const oneOf = <T>(key: string, allowed: readonly T[]): T => {
    const value = json[key] as T;
    return allowed.includes(value) ? value : fail(`${key} is ${shown(value)}; allowed: ${allowed.join(', ')}`);
  };
  oneOf('quant_type', ['nf4']);
  const { shape, nested_offset: offset } = json;
  if (!Array.isArray(shape) || shape.length !== 2 || !shape.every((size) => Number.isSafeInteger(size) && size > 0)) {
    fail(`shape is ${shown(shape)}; two sizes from 1 on are needed, [outputs, inputs]`);
  }
  const state = { shape: shape as number[], blockSize: oneOf('blocksize', blockSizes), dtype: oneOf('dtype', dtypes) };
  if (json.nested_blocksize === undefined) return { ...state, nested: undefined };
  oneOf('nested_dtype', ['float32']);
  if (!Number.isFinite(offset)) fail(`nested_offset is ${shown(offset)}; a finite number is needed`);
  return { ...state, nested: { blockSize: oneOf('nested_blocksize', blockSizes), offset: offset as number } };
}

const tensorError = (name: string, { file }: WeightTensor, message: string) =>
  new FormatError(message, { file, where: `tensor ${shown(name)}` });
