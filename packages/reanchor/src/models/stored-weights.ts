import { type Device, type DType, type Tensor, tidy } from '@reanchor/torch';
import type { BaseQuantization } from '../adapters/index.js';
import { FormatError, UserError } from '../errors.js';
import { openWeights, type WeightTensor } from '../formats/index.js';
import { Nf4Weight } from '../nn/nf4-weight.js';
import type { ConfigJson } from './causal-lm.js';
import { findNf4 } from './nf4-folder.js';
import { weightDTypes } from './weight-dtypes.js';
import { readTensor, WeightFile } from './weight-file.js';

/** Tables that old checkpoints carry and that are computed here. */
const leftovers = /\.rotary_emb\.inv_freq$|\.attention\.(masked_)?bias$/;

/** The names of a network's parameters, and its head, which may be the embedding. */
interface NamedParameters {
  parameters: Pick<ReadonlyMap<string, unknown>, 'has'>;
  head(): Tensor;
}

/**
 * The weights of a folder, each taken once by its name and shape. Strict: a missing or misshapen weight is an error,
 * and so is one that nobody has taken, but for stored rotary tables and a stored copy of a tied head.
 */
export class StoredWeights implements Disposable {
  readonly #files = new WeightFile();
  readonly #taken = new Set<string>();

  private constructor(
    readonly folder: string,
    private readonly configJson: ConfigJson,
    private readonly checkpoint: ReadonlyMap<string, WeightTensor>,
    private readonly place: { dtype: DType; device: Device },
  ) {}

  /** Errors: UserError, FormatError. */
  static async open(folder: string, configJson: ConfigJson, place: { dtype: DType; device: Device }) {
    return new StoredWeights(folder, configJson, await openWeights(folder), place);
  }

  has(name: string): boolean {
    return this.checkpoint.has(name);
  }

  /** Errors: UserError for one that is missing; FormatError. */
  take(name: string, shape: readonly number[]): Tensor {
    const entry = this.checkpoint.get(name);
    if (!entry) {
      throw new UserError(
        `${this.folder}: weight ${name} ${shapeText(shape)} is missing from the checkpoint; ${advice}`,
      );
    }
    this.#requireShape(name, entry.shape, shape);
    this.#taken.add(name);
    return readTensor(name, entry, this.place, this.#files);
  }

  /** A matrix that is stored in NF4, or is to be quantised; undefined for one that is neither. Errors: FormatError. */
  takeNf4(name: string, shape: readonly number[], quantize?: BaseQuantization): Nf4Weight | undefined {
    const { checkpoint, configJson } = this;
    const found = findNf4(name, { checkpoint, configJson, bytes: (entry) => this.#files.bytes(entry) });
    if (found) {
      this.#requireShape(name, found.shape, shape);
      for (const part of [name, ...found.sideNames]) this.#taken.add(part);
      return found.read(this.place.device);
    }
    if (quantize === undefined) return undefined;
    const weight = this.take(name, shape);
    try {
      return Nf4Weight.quantize(weight, { isDoubled: quantize === 'nf4-double' });
    } finally {
      weight.dispose();
    }
  }

  /** Errors: UserError for a weight that was not taken for the network that they are of. */
  refuseLeft(network: NamedParameters): void {
    const { checkpoint, folder } = this;
    const left = [...checkpoint.keys()].filter((name) => !this.#taken.has(name) && !leftovers.test(name));
    const problem = left.find((name) => !(name === 'lm_head.weight' && this.#isTiedCopy(network)));
    if (problem === undefined) return;
    const others = left.length === 1 ? '' : ` and ${left.length - 1} more`;
    throw new UserError(
      `${folder}: the checkpoint holds ${problem} ${shapeText(checkpoint.get(problem)!.shape)}${others}, ` +
        `which the network of config.json does not have; ${advice}`,
    );
  }

  /** Some checkpoints with a tied head store the head as well; it may be dropped when it is the embedding. */
  #isTiedCopy({ parameters, head }: NamedParameters): boolean {
    const entry = this.checkpoint.get('lm_head.weight')!;
    return tidy(() => {
      const own_VD = head();
      const stored_VD = readTensor('lm_head.weight', entry, own_VD, this.#files);
      const isAlike = stored_VD.shape.join() === own_VD.shape.join();
      return !parameters.has('lm_head.weight') && isAlike && stored_VD.equal(own_VD);
    });
  }

  #requireShape(name: string, found: readonly number[], needed: readonly number[]): void {
    if (found.length === needed.length && found.every((size, i) => size === needed[i])) return;
    throw new FormatError(`weight ${name} has shape ${shapeText(found)}; config.json asks for ${shapeText(needed)}`, {
      file: this.checkpoint.get(name)!.file,
    });
  }

  [Symbol.dispose](): void {
    this.#files[Symbol.dispose]();
  }
}

/** The dtype that most of the numbers of a checkpoint are stored in, those of `names`; float32 where none is read. */
export function storedDType(checkpoint: ReadonlyMap<string, WeightTensor>, names: Iterable<string>): DType {
  const bytes = new Map<DType, number>();
  for (const name of names) {
    const entry = checkpoint.get(name);
    const dtype = entry && weightDTypes[entry.dtype];
    if (dtype) bytes.set(dtype, (bytes.get(dtype) ?? 0) + entry.end - entry.begin);
  }
  return [...bytes].sort(([, a], [, b]) => b - a)[0]?.[0] ?? 'float32';
}

const advice = 'config.json and the weights must belong together: fetch the folder again';
const shapeText = (shape: readonly number[]) => `[${shape.join(', ')}]`;
