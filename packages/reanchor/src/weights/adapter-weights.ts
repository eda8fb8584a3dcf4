import {
  type DType,
  dtypeBytes,
  moveTowards_,
  noGrad,
  type ProcessGroup,
  squaredDistance,
  type Tensor,
  tidy,
  zeros,
} from '@reanchor/torch';
import type { LowRankShape } from '../adapters/index.js';
import { UserError } from '../errors.js';
import { buildModel } from '../models/architectures.js';
import type { CausalLM } from '../models/causal-lm.js';
import { adaptedMatrix, frozenMatrix } from '../models/merged.js';
import type { SaveOptions } from '../models/save.js';
import { FolderAdapter } from '../models/stored-adapter.js';
import { factorNames, isFactor } from '../nn/low-rank.js';
import type { DividedBase } from './divided-base.js';
import { moveProducts_, type Product, putInto_, squaredNorm } from './low-rank-average.js';
import { widenedShapes } from './reference-shapes.js';
import { blockOf } from './unit-plan.js';
import {
  type AdapterAverage,
  type AnchorOptions,
  type ModelWeights,
  type WeightDistances,
  Weights,
} from './weights.js';

export interface AdapterWeightsOptions {
  /** Parameters of the base that are trained as a whole, by their checkpoint names. */
  whole?: ReadonlySet<string> | undefined;
  /** What other tools make of the adapter once it is saved, in sentences. */
  notes: readonly string[];
  /** Writes an adapter with such factors into a folder. */
  write(folder: string, model: CausalLM, options: SaveOptions): Promise<void>;
  world?: ProcessGroup | undefined;
  reduce?: DType | undefined;
  /** The base, where processes have it between them; disposed with the weights that are given it first. */
  base?: DividedBase | undefined;
}

/**
 * An adapter on a base that is frozen, and that policy and reference share: factors are trained, copied, saved and
 * moved, and nothing else. A reference moves in one of two ways, E being what its adapter adds to a matrix and D what
 * the policy's adds:
 *
 *     factors    A_ref <- share A + (1 - share) A_ref, and so B and magnitudes: exact for copies alone
 *     products   E <- share D + (1 - share) E, kept at a rank: the average of the matrices themselves
 *
 * For the two differ by the covariance of A and B along the way. Distances are of the matrices.
 */
export class AdapterWeights extends Weights {
  readonly #options: AdapterWeightsOptions;
  readonly #movesProducts: boolean;
  readonly #ownsBase: boolean;

  constructor(model: CausalLM, options: AdapterWeightsOptions, { movesProducts = false, ownsBase = true } = {}) {
    const { whole = new Set(), world, reduce } = options;
    super(model, { trainable: (name) => isFactor(name) || whole.has(name), world, reduce });
    this.#options = options;
    this.#movesProducts = movesProducts;
    this.#ownsBase = ownsBase;
    model.residency = options.base?.residency;
  }

  /** Errors: UserError for products of DoRA, which have no low rank. */
  override anchor({ average }: AnchorOptions = {}): AdapterWeights {
    return this.#beside(widened(this.model, average), (name) => this.trained.get(name)!.detach());
  }

  /**
   * Weights of their own that start as an adapter in a folder, on the base that is here. Errors: UserError for one on
   * other layers, or of another form than can be moved; those of {@link FolderAdapter}.
   */
  async anchorFrom(folder: string, { average }: AnchorOptions = {}): Promise<AdapterWeights> {
    const { model } = this;
    using adapter = await FolderAdapter.over(folder, model.configJson);
    const wider = widened(model, average);
    requireForm(folder, adapter, wider ?? model.lowRank, wider !== undefined);
    const place = { dtype: this.dtype, device: model.device };
    const own = (name: string) => model.parameters.get(name)!.detach();
    return this.#beside(wider, (name) => adapter.trained(name, place) ?? own(name));
  }

  /** Weights of their own that start as the base without an adapter. */
  anchorAtBase({ average }: AnchorOptions = {}): AdapterWeights {
    const { model } = this;
    const layers = new Map([...model.lowRank.keys()].map((layer) => [factorNames(layer).magnitude, layer]));
    return this.#beside(widened(model, average), (name, shape) => {
      const layer = layers.get(name);
      if (layer === undefined) return isFactor(name) ? zeros([...shape], model) : this.trained.get(name)!.detach();
      return withBase(model, layer, () => frozenMatrix(model, layer, this.dtype).linalgVectorNorm(2, [1]));
    });
  }

  /**
   * Others on the same base, whose values are given, or the first part of them in one dimension; the rest is 0. Those
   * of `wider` forms move products.
   */
  #beside(
    wider: ReadonlyMap<string, LowRankShape> | undefined,
    initial: (name: string, shape: readonly number[]) => Tensor,
  ): AdapterWeights {
    const { model } = this;
    const other = tidy(() =>
      buildModel(model.configJson, {
        kernels: model.kernels,
        parameter: (name, shape) => {
          if (!isFactor(name) && !this.isTrained(name)) return model.parameters.get(name)!.detach();
          return tidy(() => {
            const own = zeros([...shape], { dtype: this.dtype, device: model.device });
            noGrad(() => putInto_(own, initial(name, shape)));
            return own;
          });
        },
        quantized: (name) => model.quantized.get(name)?.share(),
        lowRank: (layer) => (wider ?? model.lowRank).get(layer),
      }).keep(),
    );
    return new AdapterWeights(other, this.#options, { movesProducts: wider !== undefined, ownsBase: false });
  }

  override moveTowards_(other: ModelWeights, share: number): WeightDistances {
    const policy = adapterOf(other);
    const before = this.distance(policy);
    if (!this.#movesProducts) {
      const factors = super.moveTowards_(policy, share);
      return { ...factors, effective: { before, after: share === 1 ? 0 : this.distance(policy) } };
    }
    if (share === 1) {
      this.#copy(policy);
      return { before, after: 0, norm: this.#norm(), cut: 0 };
    }
    const cut = moveProducts_(productsOf(this.model), productsOf(policy.model), share);
    moveTowards_(this.#whole, policy.#whole, share);
    return { before, after: this.distance(policy), norm: this.#norm(), cut: Math.sqrt(cut) };
  }

  override distance(other: ModelWeights): number {
    const policy = adapterOf(other);
    const products = squaredNorm(productsOf(policy.model), productsOf(this.model));
    const turned = squaredTurns(policy.model, this.model);
    return Math.sqrt(products + turned + squaredDistance(this.#whole, policy.#whole));
  }

  /** Gives back what of a divided base is held for passes alone. */
  override rest(): void {
    this.#options.base?.rest();
  }

  override gathered<T>(work: () => Promise<T>): Promise<T> {
    const { base } = this.#options;
    return base ? base.gathered(work) : work();
  }

  override bytes(dtype: DType = this.dtype): number {
    return [...this.trained.values()].reduce((sum, { numel }) => sum + numel * dtypeBytes(dtype), 0);
  }

  /** What other tools make of the adapter once it is saved, in sentences; empty where they load it as it is. */
  get notes(): readonly string[] {
    return this.#options.notes;
  }

  override save(folder: string, options: SaveOptions): Promise<void> {
    return this.#options.write(folder, this.model, options);
  }

  /** What is trained and is no part of a layer's matrix: parameters of the base as a whole, and biases of B. */
  get #whole(): Tensor[] {
    return [...this.trained].filter(([name]) => !isOfMatrix(name)).map(([, weight]) => weight);
  }

  /** Becomes equal to another adapter of the same scales and no higher ranks. */
  #copy(policy: AdapterWeights): void {
    noGrad(() => {
      for (const [name, weight] of this.trained) putInto_(weight, policy.trained.get(name)!);
    });
  }

  /** L2 norm of what the adapter adds. */
  #norm(): number {
    return Math.sqrt(squaredNorm(productsOf(this.model)) + squaredDistance(this.#whole));
  }

  override [Symbol.dispose](): void {
    super[Symbol.dispose]();
    if (this.#ownsBase) this.#options.base?.[Symbol.dispose]();
  }
}

const isOfMatrix = (name: string) => isFactor(name) && !name.endsWith('.lora_B.bias');

function adapterOf(weights: ModelWeights): AdapterWeights {
  if (weights instanceof AdapterWeights) return weights;
  throw new RangeError('the other weights are those of a whole model, not of an adapter on the same base');
}

/** What the factors add to the matrices of a network, layer by layer. */
function productsOf({ parameters, lowRank }: CausalLM): Product[] {
  return [...lowRank].flatMap(([layer, { scale, isDora }]) => {
    const { a, b } = factorNames(layer);
    return isDora ? [] : [{ a_RI: parameters.get(a)!, b_OR: parameters.get(b)!, scale }];
  });
}

/** The squared distance of the matrices of two networks over the layers in which an adapter turns them (DoRA). */
function squaredTurns(one: CausalLM, other: CausalLM): number {
  const layers = [...one.lowRank].flatMap(([layer, { isDora }]) => (isDora ? [layer] : []));
  const squareOf = (layer: string) => squaredDistance([adaptedMatrix(one, layer)], [adaptedMatrix(other, layer)]);
  return layers.reduce((total, layer) => total + withBase(one, layer, () => tidy(() => squareOf(layer))), 0);
}

/** What `use` makes of a layer's matrix, which is gathered for it where the base is divided. */
function withBase<T>({ residency }: CausalLM, layer: string, use: () => T): T {
  const block = blockOf(layer);
  residency?.enter(block, undefined);
  try {
    return use();
  } finally {
    residency?.leave(block);
  }
}

/** Errors: UserError for an adapter that cannot stand in the place of one of these shapes. */
function requireForm(
  folder: string,
  { stored: { modules } }: FolderAdapter,
  shapes: ReadonlyMap<string, LowRankShape>,
  isWidened: boolean,
): void {
  const other = [...new Set([...modules.keys(), ...shapes.keys()])].find((layer) => {
    const [found, needed] = [modules.get(layer), shapes.get(layer)];
    if (!found || !needed || found.isDora !== needed.isDora || found.hasBias !== needed.hasBias) return true;
    return Math.abs(found.scale / needed.scale - 1) > 1e-9 || (isWidened ? found.r > needed.r : found.r !== needed.r);
  });
  if (other === undefined) return;
  throw new UserError(
    `${folder} is an adapter of another form than the one that is trained, in ${other}: policy and reference need the ` +
      'same layers, ranks and alphas; merge it into a model (reanchor merge) and begin from that',
  );
}

/** The forms of a reference's factors that averages products, see {@link widenedShapes}. */
function widened({ lowRank, parameters }: CausalLM, average: AdapterAverage | undefined) {
  return widenedShapes(lowRank, average, (layer) => {
    const { a, b } = factorNames(layer);
    return { inputs: parameters.get(a)!.shape[1]!, outputs: parameters.get(b)!.shape[0]! };
  });
}
