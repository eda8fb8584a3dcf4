import { type Device, type DType, noGrad, type Tensor, tidy } from '@reanchor/torch';
import { type AdaptableNetwork, type BaseQuantization, headParameter, moduleOf } from '../adapters/index.js';
import type { ModelPlace } from '../data/index.js';
import { openWeights } from '../formats/index.js';
import { factorNames } from '../nn/low-rank.js';
import { adaptedConfig, factorDType } from './adapter.js';
import type { ConfigJson } from './causal-lm.js';
import { readConfig } from './load.js';
import { withFactors } from './merged.js';
import { networkOf } from './network.js';
import type { StoredParameter } from './save.js';
import { FolderAdapter } from './stored-adapter.js';
import { StoredWeights, storedDType } from './stored-weights.js';

/** What merging has changed, by L2 norms over all weights that the adapter changes. */
export interface MergeChange {
  /** The modules of which a weight has changed. */
  modules: number;
  /** |merged - base| / |base|. */
  relative: number;
  /** The share of what the adapter adds that rounding to the dtype of storage has taken away. */
  lost: number;
}

/**
 * The weights of a base with an adapter merged into them, in float32 or better, one at a time: each is read when it is
 * asked for. A base in four bits is merged as the values that its codes stand for, never as codes.
 */
export class StoredMerge implements Disposable {
  /** The config.json of the merged model. */
  readonly configJson: ConfigJson;
  readonly #network: AdaptableNetwork;
  readonly #changed = new Set<string>();
  /** Squares of norms. */
  readonly #sums = { base: 0, added: 0, lost: 0 };

  private constructor(
    private readonly weights: StoredWeights,
    private readonly adapter: FolderAdapter,
    private readonly quantize: BaseQuantization | undefined,
    private readonly place: { dtype: DType; device: Device },
    stored: ConfigJson,
    /** The dtype that most of the base is stored in. */
    readonly dtype: DType,
  ) {
    this.configJson = adaptedConfig(stored, adapter);
    this.#network = networkOf(this.configJson);
  }

  /** Errors: those of {@link FolderAdapter.over} and {@link StoredWeights.open}. */
  static async open({ base, adapter, quantize }: Required<ModelPlace>, device: Device): Promise<StoredMerge> {
    const stored = await readConfig(base);
    const dtype = storedDType(await openWeights(base), networkOf(stored).parameters.keys());
    const place = { dtype: factorDType(dtype), device };
    const folder = await FolderAdapter.over(adapter!, stored);
    const weights = await StoredWeights.open(base, stored, place);
    return new StoredMerge(weights, folder, quantize, place, stored, dtype);
  }

  /** What the adapter calls its base. */
  get baseName(): string | undefined {
    return this.adapter.config.base;
  }

  /** The merged weights in the order of the network, to be stored in `dtype`. */
  parameters(dtype: DType): StoredParameter[] {
    return [...this.#network.parameters].map(([name, shape]) => {
      return { name, shape, dtype, value: () => noGrad(() => tidy(() => this.#merged(name, shape, dtype))) };
    });
  }

  /** To be asked once all parameters were. Errors: UserError for a weight of the base that none of them is. */
  change(): MergeChange {
    const { parameters, embedding } = this.#network;
    const head = () => this.weights.take(embedding, parameters.get(embedding)!);
    tidy(() => this.weights.refuseLeft({ parameters, head }));
    const { base, added, lost } = this.#sums;
    const modules = new Set([...this.#changed].map(moduleOf)).size;
    return { modules, relative: Math.sqrt(added / base), lost: added === 0 ? 0 : Math.sqrt(lost / added) };
  }

  #merged(name: string, shape: readonly number[], dtype: DType): Tensor {
    const own = this.#own(name, shape);
    const merged = this.#withAdapter(name, own);
    if (merged === own) return own;
    this.#changed.add(name);
    const added = merged.sub(own);
    const lost = merged.to(dtype).to(own.dtype).sub(own.to(dtype)).sub(added);
    for (const [key, tensor] of Object.entries({ base: own, added, lost })) {
      this.#sums[key as 'base'] += tensor.linalgVectorNorm(2).item() ** 2;
    }
    return merged;
  }

  /** A weight of the base; a head that the adapter has made another than the embedding begins as that. */
  #own(name: string, shape: readonly number[]): Tensor {
    const { weights, adapter, quantize } = this;
    const isMatrix = this.#network.linear.has(moduleOf(name)) && name.endsWith('.weight');
    const packed = isMatrix && !adapter.whole.includes(name) ? weights.takeNf4(name, shape, quantize) : undefined;
    if (packed) {
      using weight = packed;
      return weight.dense(this.place.dtype);
    }
    const isUntied = adapter.untiesHead && name === headParameter(this.#network) && !weights.has(name);
    return weights.take(isUntied ? this.#network.embedding : name, shape);
  }

  #withAdapter(name: string, own: Tensor): Tensor {
    const { adapter, place } = this;
    const layer = moduleOf(name);
    const patched = adapter.patched(name, own);
    const shape = adapter.lowRank(layer);
    if (!shape) return patched;
    const names = factorNames(layer);
    const factor = (key: keyof typeof names) => adapter.trained(names[key], place);
    if (name.endsWith('.bias')) return shape.hasBias ? patched.add(factor('bias')!, { alpha: shape.scale }) : patched;
    const [a_RI, b_OR, magnitude_O] = [factor('a')!, factor('b')!, factor('magnitude')];
    return withFactors(patched, { a_RI, b_OR, scale: shape.scale, magnitude_O });
  }

  [Symbol.dispose](): void {
    this.weights[Symbol.dispose]();
    this.adapter[Symbol.dispose]();
  }
}
