import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { FormatError, shown, UserError } from '../errors.js';
import { isPickle, openSafetensors, pickleRefusal, type WeightTensor } from '../formats/index.js';
import { weightsName } from './names.js';

/** What the numbers of an adapter may be. */
const dtypes = ['F32', 'BF16', 'F16', 'F64'];

/** What a shape that does not fit comes from. */
const otherBase = 'the adapter belongs to another base';

const shapeText = (shape: readonly (number | string)[]) => `[${shape.join(', ')}]`;

/** An adapter_model.safetensors, from which each tensor is taken by name: what is missing, or left over, is refused. */
export class AdapterFile {
  readonly #taken = new Set<string>();

  private constructor(
    readonly file: string,
    readonly tensors: ReadonlyMap<string, WeightTensor>,
  ) {}

  /** The file in an adapter's folder. Errors: UserError, FormatError. */
  static async open(folder: string): Promise<AdapterFile> {
    const file = join(folder, weightsName);
    const found = await readdir(folder).catch((): string[] => []);
    const pickle = found.includes(weightsName) ? undefined : found.find(isPickle);
    if (pickle !== undefined) throw new UserError(`${file} does not exist; ${pickle} holds ${pickleRefusal}`);
    const opened = await openSafetensors(file, `an adapter is a folder of PEFT, with ${weightsName}`);
    return new AdapterFile(file, new Map([...opened.tensors].map(([name, tensor]) => [name, { ...tensor, file }])));
  }

  /** The tensor of a name, of this shape; `why` is what another shape comes from. Errors: FormatError. */
  take(name: string, shape: readonly number[], why = otherBase): WeightTensor {
    const tensor = this.#find(name, shape);
    const isEqual = tensor.shape.length === shape.length && tensor.shape.every((size, i) => size === shape[i]);
    return isEqual ? tensor : this.#refuseShape(name, tensor, { needed: shape, why });
  }

  /** The tensor of a name whose rows are a rank, which is one of `ranks`. Errors: FormatError. */
  takeRanked(name: string, columns: number, ranks: ReadonlySet<number>): WeightTensor {
    const needed = ['r', columns];
    const tensor = this.#find(name, needed);
    const [r, ...others] = tensor.shape;
    if (tensor.shape.includes(0))
      this.#refuseShape(name, tensor, { needed, why: 'sharded training did not gather it' });
    if (r === undefined || others.length !== 1 || others[0] !== columns)
      return this.#refuseShape(name, tensor, { needed, why: otherBase });
    if (ranks.has(r)) return tensor;
    const known = [...ranks].slice(0, 10).join(', ');
    return this.fail(
      name,
      `has rank ${r}; r and rank_pattern of the config say ${known}: the two belong to two adapters`,
    );
  }

  /** The names that were not taken yet. */
  left(): string[] {
    return [...this.tensors.keys()].filter((name) => !this.#taken.has(name));
  }

  fail(name: string, message: string): never {
    throw new FormatError(message, { file: this.file, where: `tensor ${shown(name)}` });
  }

  #refuseShape(
    name: string,
    { shape }: WeightTensor,
    { needed, why }: { needed: readonly (number | string)[]; why: string },
  ): never {
    return this.fail(name, `has shape ${shapeText(shape)}; ${shapeText(needed)} is needed: ${why}`);
  }

  #find(name: string, shape: readonly (number | string)[]): WeightTensor {
    const tensor = this.tensors.get(name);
    if (!tensor) return this.fail(name, `${shapeText(shape)} is missing: fetch the adapter again, or save it again`);
    if (!dtypes.includes(tensor.dtype)) this.fail(name, `is ${tensor.dtype}; ${dtypes.join(', ')} can be read`);
    this.#taken.add(name);
    return tensor;
  }
}
