import {
  type DType,
  dtypeBytes,
  moveTowards_,
  noGrad,
  ProcessGroup,
  squaredDistance,
  stack,
  type Tensor,
  tidy,
} from '@reanchor/torch';
import { copyModel } from '../models/architectures.js';
import type { CausalLM } from '../models/causal-lm.js';
import { modelBytes, type SaveOptions, saveModel } from '../models/save.js';
import { clipGradNorm_, type Optimizer } from '../optim/index.js';
import { readTensorsInto } from './pieces-file.js';
import { writeTensors } from './tensor-file.js';

/** What of a model is moved, in which dtype, and by which processes. */
export interface WeightsOptions {
  /** The same parameters in a wider dtype: these are moved, and the model has them rounded. Owned. */
  wide?: CausalLM | undefined;
  /** Which parameters are trained, by their checkpoint names; the others are frozen. Default: all. */
  trainable?: ((name: string) => boolean) | undefined;
  /** The processes that train the same weights, each on rows of its own. Default: this one alone. */
  world?: ProcessGroup | undefined;
  /** The dtype in which gradients travel between them. Default: that of what is moved. */
  reduce?: DType | undefined;
}

/** In which form weights are anchored as a reference. */
export interface AnchorOptions {
  /** The dtype of what is moved; that of the model when left out. An adapter's factors keep theirs. */
  dtype?: DType | undefined;
  /** How an adapter is averaged, where it will be: see `AdapterWeights`. Without it, it can be copied alone. */
  average?: AdapterAverage | undefined;
}

/** How the average of two adapters is kept. */
export interface AdapterAverage {
  /** Default: product, and factors of DoRA. */
  form?: 'product' | 'factors' | undefined;
  /** Of products; four times that of the adapter when left out. */
  rank?: number | undefined;
}

/** L2 distances between two sets of weights, over what is trained. */
export interface WeightDistances {
  before: number;
  after: number;
  /** L2 norm of the weights that were moved. */
  norm: number;
  /** Of weights that are kept at a rank: L2 norm of what was cut off to keep it. */
  cut?: number | undefined;
  /** Where factors were moved, whose distances these are: those of the matrices that they make. */
  effective?: { before: number; after: number } | undefined;
}

/** What is saved of weights. */
export type Saved = 'parameters' | 'optimizer';

/** What rank 0 asks the others to send, or to write beside `file`. */
export interface SaveRequest {
  of: string;
  what: Saved;
  file?: string | undefined;
}

/** What is moved of a model, and how the model that computes has it. */
export interface ModelWeights extends Disposable {
  /** What computes; owned. */
  readonly model: CausalLM;
  /** What this process moves, by checkpoint name: parameters, or parts of them. */
  readonly trained: ReadonlyMap<string, Tensor>;
  /** The dtype of what is moved. */
  readonly dtype: DType;
  /** Whether each process has a part alone, so that all of them have to take part in saving. */
  readonly isSharded: boolean;
  /** Lets backward passes leave gradients at what is trained. */
  requireGradients(): void;
  /** To be called after every backward pass: takes the gradients that it left at the model. */
  collect(): void;
  /** To be called once a step, after all passes: adds up the gradients of all processes. */
  sumGradients(): void;
  /** Scales the gradients to a norm of `maxNorm` at most; returns their norm before. */
  clipGradients(maxNorm: number): number;
  clearGradients(): void;
  /** To be called after what is trained has moved: the model has it again. */
  publish(): void;
  /** Gives back what is held for passes alone. */
  rest(): void;
  /**
   * What `work` makes while the model here has all its parameters: where they are divided they are gathered for it. All
   * processes have to call it. Errors: those of `work`; DistributedError.
   */
  gathered<T>(work: () => Promise<T>): Promise<T>;
  /**
   * Weights of their own that start as these: what is trained is copied, what is frozen shared. Their model computes in
   * the dtype of this one.
   */
  anchor(options?: AnchorOptions): ModelWeights;
  /** Moves these weights: w <- (1 - share) w + share * other. Returns the distances, see {@link WeightDistances}. */
  moveTowards_(other: ModelWeights, share: number): WeightDistances;
  /** L2 distance between the two, over what is trained. */
  distance(other: ModelWeights): number;
  /** Checksums of the bits of what is trained: they change whenever one element does. */
  checksums(): string[];
  /** Whether something that is trained is kept in the memory of another's model. */
  sharesMemory(other: ModelWeights): boolean;
  /** The bytes of all parameters, in `dtype` or that in which they are moved. */
  bytes(dtype?: DType): number;
  /** Writes the parameters as they are moved into a Hugging Face folder. Errors: those of {@link saveModel}. */
  save(folder: string, options: SaveOptions): Promise<void>;
  /**
   * Writes the optimizer's state; of weights that are divided each process writes its pieces beside `file`, unless
   * `isSeenByAll` is false. Returns SHA-256 sums of files that others have written, by path. Errors: UserError.
   */
  saveOptimizer(
    file: string,
    optimizer: Optimizer,
    options: { isSeenByAll: boolean },
  ): Promise<ReadonlyMap<string, string>>;
  /** Sends, or writes, what rank 0 saves of weights that are divided. */
  takePart(request: Omit<SaveRequest, 'of'>, optimizer: Optimizer | undefined): Promise<void>;
  /** Reads the optimizer's state again, however it was divided. Errors: FormatError for files that do not fit. */
  restoreOptimizer(file: string, optimizer: Optimizer): Promise<void>;
}

/**
 * What is moved of a model, and how the model that computes has it: by an optimizer those of a policy, by its updates
 * those of a reference.
 *
 *     plain            the model's own parameters are moved
 *     half precision   float32 weights are moved, and the model has them rounded (Micikevicius et al. 2018, "Mixed
 *                      Precision Training", arXiv 1710.03740, section 3.1): a step of 1e-6 on a weight of 0.01 would be
 *                      lost in half precision alone
 *     a part of them   `trainable` says which; the rest is frozen, and an {@link anchor} shares it
 */
export class Weights implements ModelWeights {
  readonly isSharded = false;
  /** What is moved, by checkpoint name. */
  readonly trained: ReadonlyMap<string, Tensor>;
  /** The model with the parameters as they are moved: `model` itself, or one in a wider dtype. */
  readonly exact: CausalLM;
  /** Whether a parameter of this name is trained; the others are frozen. */
  protected readonly isTrained: (name: string) => boolean;
  readonly #world: ProcessGroup;
  readonly #reduce: DType;

  constructor(
    /** What computes; owned. */
    readonly model: CausalLM,
    { wide, trainable = () => true, world = ProcessGroup.alone(), reduce }: WeightsOptions = {},
  ) {
    this.exact = wide ?? model;
    this.isTrained = trainable;
    this.#world = world;
    this.trained = new Map([...this.exact.parameters].filter(([name]) => trainable(name)));
    if (this.trained.size === 0) throw new RangeError('no parameter of the model is trainable');
    this.#reduce = reduce ?? this.dtype;
  }

  /** The dtype of what is moved. */
  get dtype(): DType {
    return this.trained.values().next().value!.dtype;
  }

  get #isRounded(): boolean {
    return this.exact !== this.model;
  }

  /** Lets backward passes leave gradients at what is trained. */
  requireGradients(): void {
    for (const name of this.trained.keys()) this.model.parameters.get(name)!.requiresGrad = true;
  }

  /**
   * To be called after every backward pass: adds the gradients that it left at the model to those of what is trained.
   */
  collect(): void {
    if (!this.#isRounded) return;
    for (const [name, weight] of this.trained) {
      const parameter = this.model.parameters.get(name)!;
      tidy(() => {
        const gradient = parameter.grad!;
        const sum = weight.grad;
        if (sum) noGrad(() => sum.add_(gradient));
        else weight.grad = gradient.to(weight.dtype);
        parameter.grad = null;
      });
    }
  }

  /**
   * To be called once a step, after all passes: adds up the gradients of all processes. One that had no rows has zeros.
   */
  sumGradients(): void {
    if (this.#world.world === 1) return;
    tidy(() => {
      for (const weight of this.trained.values()) weight.grad ??= weight.detach().zerosLike();
      const gradients = [...this.trained.values()].map((weight) => weight.grad!);
      const sums = gradients.map((gradient) => this.#world.allReduce_(gradient.to(this.#reduce)));
      for (const [i, sum] of sums.entries()) {
        const total = sum.wait();
        // Those of their own dtype are summed where they are.
        if (total.dtype !== this.dtype) gradients[i]!.copy_(total);
      }
    });
  }

  /** Scales the gradients to a norm of `maxNorm` at most; returns their norm before, see {@link clipGradNorm_}. */
  clipGradients(maxNorm: number): number {
    return tidy(() =>
      clipGradNorm_(
        [...this.trained.values()].map((weight) => weight.grad!),
        maxNorm,
      ),
    );
  }

  clearGradients(): void {
    for (const weight of this.trained.values()) weight.grad = null;
  }

  /** To be called after what is trained has moved: the model has it again. */
  publish(): void {
    if (!this.#isRounded) return;
    noGrad(() => {
      for (const [name, weight] of this.trained) this.model.parameters.get(name)!.copy_(weight);
    });
  }

  rest(): void {}

  gathered<T>(work: () => Promise<T>): Promise<T> {
    return work();
  }

  anchor({ dtype = this.model.dtype }: AnchorOptions = {}): Weights {
    const frozen = (name: string) => (this.isTrained(name) ? undefined : this.model.parameters.get(name));
    const isWide = dtype !== this.model.dtype;
    const kept = copyModel(isWide ? this.exact : this.model, dtype, frozen);
    const model = isWide ? copyModel(kept, this.model.dtype, frozen) : kept;
    return new Weights(model, { wide: isWide ? kept : undefined, trainable: this.isTrained });
  }

  /** Moves these weights: w <- (1 - share) w + share * other. Returns the distances, see {@link WeightDistances}. */
  moveTowards_(other: ModelWeights, share: number): WeightDistances {
    const { before, after, norm } = moveTowards_(...this.beside(other), share);
    this.publish();
    return { before: Math.sqrt(before), after: Math.sqrt(after), norm: Math.sqrt(norm) };
  }

  /** L2 distance between the two, over what is trained. */
  distance(other: ModelWeights): number {
    return Math.sqrt(squaredDistance(...this.beside(other)));
  }

  /** What is trained here, and the same parameters of others: those that they move, where these are wide as well. */
  protected beside(other: ModelWeights): [own: Tensor[], others: Tensor[]] {
    if (!(other instanceof Weights)) throw new RangeError('the other weights are divided among processes');
    const { parameters } = this.dtype === other.model.dtype ? other.model : other.exact;
    return [[...this.trained.values()], [...this.trained.keys()].map((name) => parameters.get(name)!)];
  }

  /** A checksum of the bits of each parameter that is trained: it changes whenever one element does. */
  checksums(): string[] {
    const sums = () => stack([...this.trained.values()].map((weight) => words(weight).sum()));
    return tidy(() => Array.from(sums().data(), String));
  }

  bytes(dtype: DType = this.dtype): number {
    return modelBytes(this.exact, dtype);
  }

  save(folder: string, options: SaveOptions): Promise<void> {
    return saveModel(this.exact, folder, options);
  }

  async saveOptimizer(file: string, optimizer: Optimizer): Promise<ReadonlyMap<string, string>> {
    const state = [...optimizer.state(this.trained)];
    await writeTensors(
      file,
      state.map(([name, tensor]) => ({ name, shape: tensor.shape, dtype: tensor.dtype, value: () => tensor })),
    );
    return new Map();
  }

  async takePart(): Promise<void> {}

  restoreOptimizer(file: string, optimizer: Optimizer): Promise<void> {
    return readTensorsInto(file, optimizer.state(this.trained));
  }

  /** Whether something that is trained is kept in the memory of another's model. */
  sharesMemory({ model }: ModelWeights): boolean {
    const names = [...this.trained.keys()];
    return names.some((name) => model.parameters.get(name)!.isSetTo(this.model.parameters.get(name)!));
  }

  /** Frees the model, and the weights that are wider. */
  [Symbol.dispose](): void {
    this.model[Symbol.dispose]();
    this.exact[Symbol.dispose]();
  }
}

/** A checksum of the bits of a tensor: it changes whenever one element does. */
export const checksum = (tensor: Tensor): string => String(words(tensor).sum().item());

const bitsOf: Partial<Record<DType, DType>> = {
  float64: 'int64',
  float32: 'int32',
  float16: 'int16',
  bfloat16: 'int16',
};

/** The bits of a parameter as integers; of 64 bits where they fit, which are summed without being widened first. */
function words(parameter: Tensor): Tensor {
  const flat = parameter.detach().view([-1]);
  const isWhole = (parameter.numel * dtypeBytes(parameter.dtype)) % 8 === 0;
  return flat.view(isWhole ? 'int64' : bitsOf[parameter.dtype]!);
}
