import { join } from 'node:path';
import type { Tensor } from '@reanchor/torch';
import { noGrad, tidy } from '@reanchor/torch';
import { type AdapterConfig, type LowRankShape, readAdapter, type StoredAdapter } from '../adapters/index.js';
import { FormatError } from '../errors.js';
import type { WeightTensor } from '../formats/index.js';
import { type FactorPlace, factorDType, type ModelAdapter } from './adapter.js';
import type { ConfigJson } from './causal-lm.js';
import { networkOf } from './network.js';
import { readTensor, WeightFile } from './weight-file.js';

/**
 * An adapter in a folder of PEFT. Its factors stay beside the layers of the blocks; what it has of the embedding, the
 * head, biases and whole modules is put in their place, or added, while they are loaded.
 */
export class FolderAdapter implements ModelAdapter, Disposable {
  readonly #files = new WeightFile();

  private constructor(
    readonly folder: string,
    readonly stored: StoredAdapter,
  ) {}

  /** Errors: those of {@link readAdapter}, and of a base that cannot be built. */
  static async over(folder: string, base: ConfigJson): Promise<FolderAdapter> {
    return new FolderAdapter(folder, await readAdapter(folder, networkOf(base)));
  }

  get config(): AdapterConfig {
    return this.stored.config;
  }

  /** The parameters of the base that it has in their place. */
  get whole(): readonly string[] {
    return [...this.stored.replaced.keys()];
  }

  /** What its config says besides. */
  get saved() {
    const { dropout, modulesToSave, bias } = this.config;
    return { dropout, modulesToSave, bias };
  }

  get untiesHead(): boolean {
    return this.stored.untiesHead;
  }

  lowRank(layer: string): LowRankShape | undefined {
    return this.stored.modules.get(layer);
  }

  factor(name: string, _shape: readonly number[], place: FactorPlace): Tensor {
    return this.trained(name, place)!;
  }

  /** A factor, or a parameter of the base that the adapter replaces; undefined where it does not. */
  trained(name: string, place: Pick<FactorPlace, 'dtype' | 'device'>): Tensor | undefined {
    const entry = this.stored.factors.get(name) ?? this.stored.replaced.get(name);
    return entry && this.#read(name, entry, place);
  }

  patched(name: string, value: Tensor): Tensor {
    const { replaced, added, baseCopies } = this.stored;
    for (const [stored, copy] of baseCopies) if (copy.parameter === name) this.#requireEqual(stored, copy, value);
    const other = replaced.get(name);
    if (other) return this.#read(name, other, value);
    const product = added.get(name);
    if (!product) return value;
    return noGrad(() =>
      tidy(() => {
        const place = { dtype: factorDType(value.dtype), device: value.device };
        const [a, b] = [this.#read(name, product.a, place), this.#read(name, product.b, place)];
        const sum = b.matmul(a);
        return value
          .to(place)
          .add(product.isTransposed ? sum.t() : sum, { alpha: product.scale })
          .to(value.dtype);
      }),
    );
  }

  #read(name: string, entry: WeightTensor, { dtype, device }: Pick<FactorPlace, 'dtype' | 'device'>): Tensor {
    return readTensor(name, entry, { dtype, device }, this.#files);
  }

  #requireEqual(stored: string, copy: WeightTensor, value: Tensor): void {
    const isEqual = tidy(() => {
      const copied = this.#read(stored, copy, value);
      return copied.shape.join() === value.shape.join() && copied.equal(value);
    });
    if (isEqual) return;
    throw new FormatError(
      `${stored} is a copy of a weight of the base, and differs from it: the adapter was trained on another base`,
      { file: join(this.folder, 'adapter_model.safetensors') },
    );
  }

  [Symbol.dispose](): void {
    this.#files[Symbol.dispose]();
  }
}
