import {
  type Device,
  type DType,
  dtypeBytes,
  foreachMul_,
  keep,
  moveTowards_,
  noGrad,
  type ProcessGroup,
  squaredDistance,
  type Tensor,
  tidy,
  zeros,
} from '@reanchor/torch';
import { buildModel } from '../models/architectures.js';
import type { CausalLM, ConfigJson } from '../models/causal-lm.js';
import { type SaveOptions, type StoredParameter, saveParameters } from '../models/save.js';
import type { Residency } from '../nn/segments.js';
import type { Optimizer } from '../optim/index.js';
import { gather, tell } from '../parallel/tell.js';
import { type PiecesReport, readPiecesInto, writePieces, writtenFiles } from './pieces-file.js';
import { writeTensors } from './tensor-file.js';
import { gatheredForPasses, type Piece, Unit, withWholes } from './unit.js';
import { planUnits } from './unit-plan.js';
import {
  type AnchorOptions,
  checksum,
  type ModelWeights,
  type Saved,
  type SaveRequest,
  type WeightDistances,
} from './weights.js';

/**
 * What of a model is divided among processes (ZeRO-1, 2 and 3; Rajbhandari et al. 2020, arXiv 1910.02054): the
 * optimizer's state and the weights that it moves; the gradients as well, block by block as they come; the parameters
 * too, which are then there for one block at a time.
 */
export type Shard = 'optimizer' | 'gradients' | 'parameters';

export interface ShardOptions {
  /** By which the others know which weights rank 0 saves. */
  name: 'policy' | 'reference';
  /** The processes that have them between them. */
  world: ProcessGroup;
  /** Those that have the same part, each of another replica of the model. Default: there is one replica. */
  replicas?: ProcessGroup | undefined;
  shard: Shard;
  /** The dtype that the model computes in. */
  dtype: DType;
  /** That of what is moved; the model's when left out. */
  kept?: DType | undefined;
  /** The dtype in which gradients travel. Default: that of what is moved. */
  reduce?: DType | undefined;
  /** Where the model computes. */
  device: Device;
  /** Where what is moved is kept, and is moved. Default: where the model computes. */
  keptOn?: Device | undefined;
}

/**
 * Weights of which each process moves a part. An update of the reference, a distance and a norm send numbers alone: the
 * slices of policy and reference lie alike.
 *
 *     w[rank]   the elements of every {@link Unit} that a process moves: 1 / processes of them
 */
export class ShardedWeights implements ModelWeights {
  readonly isSharded = true;
  readonly model: CausalLM;
  /** The parts of parameters that this process moves, by checkpoint name. */
  readonly trained: ReadonlyMap<string, Tensor>;
  readonly #root: Unit;
  readonly #blocks: Unit[];
  /** What is here of all processes, to be saved. */
  #brought: { unit: Unit; sliceOf: (unit: Unit) => Tensor; wholes: ReadonlyMap<string, Tensor> } | undefined;

  constructor(
    readonly configJson: ConfigJson,
    readonly options: ShardOptions,
  ) {
    const { shard, dtype, kept = dtype, reduce = kept, world, device, keptOn = device } = options;
    const isResident = shard !== 'parameters';
    const plans = planUnits(configJson);
    const units = plans.map((plan, i) => {
      const unit = new Unit({ world, dtype, kept, reduce, device, keptOn, isResident, plan });
      if (i > 0) unit.free();
      return unit;
    });
    [this.#root, ...this.#blocks] = units as [Unit, ...Unit[]];
    const views = new Map(units.flatMap((unit) => [...unit.views]));
    this.model = tidy(() => buildModel(configJson, { parameter: (name) => views.get(name)! }).keep());
    this.trained = new Map(
      units.flatMap(({ pieces }) => [...pieces].map(([name, { tensor }]) => [name, tensor] as const)),
    );
    this.model.residency = residency(this.#root, this.#blocks, shard);
  }

  get #units(): Unit[] {
    return [this.#root, ...this.#blocks];
  }

  get dtype(): DType {
    return this.#root.slice.dtype;
  }

  get #slices(): Tensor[] {
    return this.#units.map(({ slice }) => slice);
  }

  /** Gives a parameter a value, of which this process keeps its part; returns what the network has of it. */
  put(name: string, value: Tensor): Tensor {
    const unit = this.#units.find(({ views }) => views.has(name))!;
    unit.put(name, value);
    return unit.views.get(name)!;
  }

  rest(): void {
    for (const unit of this.#units) unit.free();
  }

  gathered<T>(work: () => Promise<T>): Promise<T> {
    return withWholes(this.#units, work);
  }

  requireGradients(): void {
    for (const { views } of this.#units) for (const view of views.values()) view.requiresGrad = true;
  }

  collect(): void {
    for (const unit of this.#units) unit.take();
    // The blocks' have been sent as they came.
    if (this.options.shard === 'optimizer') return;
    this.#root.send();
    settleBefore(this.#units, 0);
  }

  sumGradients(): void {
    if (this.options.shard === 'optimizer') for (const unit of this.#units) unit.send();
    settleAll(this.#units);
    this.#sumReplicas();
    for (const unit of this.#units) unit.spread();
  }

  /** Adds up what the replicas have: of each process its part alone, once a step. */
  #sumReplicas(): void {
    const { replicas } = this.options;
    if (!replicas || replicas.world === 1) return;
    for (const unit of this.#units) unit.sendTo(replicas);
    settleAll(this.#units);
  }

  clipGradients(maxNorm: number): number {
    const gradients = this.#units.map(({ gradient }) => gradient!);
    const [square] = this.options.world.sum([squaredDistance(gradients)]);
    const norm = Math.sqrt(square!);
    const factor = maxNorm / (norm + 1e-6);
    if (factor < 1) noGrad(() => foreachMul_(gradients, factor));
    return norm;
  }

  clearGradients(): void {
    for (const unit of this.#units) unit.clearGradient();
  }

  publish(): void {
    for (const unit of this.#units) unit.refresh();
  }

  anchor({ dtype = this.model.dtype }: AnchorOptions = {}): ShardedWeights {
    const { configJson, options } = this;
    const anchor = new ShardedWeights(configJson, { ...options, name: 'reference', kept: dtype });
    for (const [i, unit] of anchor.#units.entries()) unit.copyFrom(this.#units[i]!);
    anchor.rest();
    return anchor;
  }

  moveTowards_(other: ModelWeights, share: number): WeightDistances {
    const { before, after, norm } = tidy(() => moveTowards_(this.#slices, this.#slicesOf(other), share));
    this.publish();
    const [a, b, c] = this.options.world.sum([before, after, norm]);
    return { before: Math.sqrt(a!), after: Math.sqrt(b!), norm: Math.sqrt(c!) };
  }

  distance(other: ModelWeights): number {
    const square = tidy(() => squaredDistance(this.#slices, this.#slicesOf(other)));
    return Math.sqrt(this.options.world.sum([square])[0]!);
  }

  /** The slices of weights that are divided alike, in this dtype. */
  #slicesOf(other: ModelWeights): Tensor[] {
    if (!(other instanceof ShardedWeights)) throw new RangeError('the other weights are not divided');
    return other.#slices.map((slice) => (slice.dtype === this.dtype ? slice : slice.to(this.dtype)));
  }

  /** Of what this process moves. */
  checksums(): string[] {
    return tidy(() => this.#slices.map(checksum));
  }

  sharesMemory(other: ModelWeights): boolean {
    return this.#slicesOf(other).some((slice, i) => slice.isSetTo(this.#slices[i]!));
  }

  bytes(dtype: DType = this.dtype): number {
    return [...this.model.parameters.values()].reduce((sum, { numel }) => sum + numel * dtypeBytes(dtype), 0);
  }

  /** On rank 0, while the others {@link takePart}: none holds more than a unit besides what is its own. */
  async save(folder: string, options: SaveOptions): Promise<void> {
    const parameters = this.#ask('parameters');
    const { configJson, dtype } = this;
    await this.#bringAll(parameters, () => saveParameters({ configJson, dtype, parameters }, folder, options));
  }

  /** On rank 0, while the others {@link takePart}; a file that others do not see is as undivided weights have it. */
  async saveOptimizer(
    file: string,
    optimizer: Optimizer,
    { isSeenByAll }: { isSeenByAll: boolean },
  ): Promise<ReadonlyMap<string, string>> {
    if (isSeenByAll) {
      tell<SaveRequest>(this.options.world, { of: this.options.name, what: 'optimizer', file });
      return writtenFiles(await this.#writeOptimizer(file, optimizer));
    }
    const moments = this.#ask('optimizer', optimizer);
    const state = optimizer.state(this.trained);
    const steps = this.#units.flatMap(({ views, pieces }) => {
      // The first process has a piece of every unit, and all parameters have made as many steps.
      const step = state.get(`step.${pieces.keys().next().value!}`)!;
      return [...views.keys()].map((name): StoredParameter => {
        return { name: `step.${name}`, shape: [], dtype: step.dtype, value: () => step };
      });
    });
    await this.#bringAll(moments, () => writeTensors(file, [...moments, ...steps]));
    return new Map();
  }

  /** On the other processes: sends what rank 0 writes, or writes it beside rank 0. */
  async takePart({ what, file }: Omit<SaveRequest, 'of'>, optimizer: Optimizer | undefined): Promise<void> {
    if (file !== undefined) {
      await this.#writeOptimizer(file, optimizer!);
      return;
    }
    try {
      for (const { value } of this.#saved(what, optimizer)) value();
    } finally {
      this.#letGo();
    }
  }

  async #writeOptimizer(file: string, optimizer: Optimizer): Promise<PiecesReport[]> {
    const pieces = this.#optimizerPieces(optimizer);
    // A number of steps is written by the process that has the first element.
    const isElsewhere = (key: string) =>
      key.startsWith('step.') && pieces.get(key.replace('step.', 'exp_avg.'))!.from > 0;
    const own = [...pieces].filter(([key]) => !isElsewhere(key));
    const { world } = this.options;
    return gather(world, await writePieces(file, world, new Map(own)));
  }

  /** The optimizer's tensors, as parts of those that undivided weights would have. */
  #optimizerPieces(optimizer: Optimizer): Map<string, Piece> {
    const pieces = new Map(this.#units.flatMap((unit) => [...unit.pieces]));
    const state = [...optimizer.state(this.trained)].map(([key, tensor]) => {
      const { from, shape } = pieces.get(key.slice(key.indexOf('.') + 1))!;
      return [key, key.startsWith('step.') ? { tensor, from: 0, shape: [] } : { tensor, from, shape }] as const;
    });
    return new Map(state);
  }

  /** Tells the others what is to be saved, and gives the tensors of it. */
  #ask(what: Saved, optimizer?: Optimizer): StoredParameter[] {
    tell<SaveRequest>(this.options.world, { of: this.options.name, what });
    return this.#saved(what, optimizer);
  }

  #saved(what: Saved, optimizer: Optimizer | undefined): StoredParameter[] {
    if (what === 'parameters') {
      const parameters = this.#stored((unit) => unit.slice);
      return [...this.model.parameters.keys()].map((name) => parameters.get(name)!);
    }
    const state = optimizer!.state(this.trained);
    return (['exp_avg', 'exp_avg_sq'] as const).flatMap((kind) => {
      const ofKind = this.#stored((unit) => momentSlice(unit, (name) => state.get(`${kind}.${name}`)!));
      return [...ofKind.values()].map((one) => ({ ...one, name: `${kind}.${one.name}` }));
    });
  }

  /** Writes; what a failure leaves is brought all the same, since the others send it. */
  async #bringAll(tensors: StoredParameter[], write: () => Promise<void>): Promise<void> {
    const left = new Set(tensors);
    for (const tensor of tensors) {
      const { value } = tensor;
      tensor.value = () => {
        left.delete(tensor);
        return value();
      };
    }
    try {
      await write();
    } finally {
      for (const { value } of [...left]) value();
      this.#letGo();
    }
  }

  /** Reads what this process needs of what {@link saveOptimizer} has written, of any division. */
  async restoreOptimizer(file: string, optimizer: Optimizer): Promise<void> {
    await readPiecesInto(file, this.#optimizerPieces(optimizer));
  }

  /** Parameters whose values come by a gather of their unit. */
  #stored(sliceOf: (unit: Unit) => Tensor): Map<string, StoredParameter> {
    const { dtype } = this;
    return new Map(
      this.#units.flatMap((unit) =>
        [...unit.views].map(([name, { shape }]): [string, StoredParameter] => [
          name,
          { name, shape, dtype, value: () => this.#bring(unit, sliceOf).get(name)! },
        ]),
      ),
    );
  }

  /** The parameters of a unit, or what lies as they do; they stay until others are brought. */
  #bring(unit: Unit, sliceOf: (unit: Unit) => Tensor): ReadonlyMap<string, Tensor> {
    if (this.#brought?.unit === unit && this.#brought.sliceOf === sliceOf) return this.#brought.wholes;
    this.#letGo();
    const wholes = tidy(() => {
      const all = unit.wholes(sliceOf(unit));
      keep([...all.values()]);
      return all;
    });
    this.#brought = { unit, sliceOf, wholes };
    return wholes;
  }

  #letGo(): void {
    for (const tensor of this.#brought?.wholes.values() ?? []) tensor.dispose();
    this.#brought = undefined;
  }

  [Symbol.dispose](): void {
    this.model[Symbol.dispose]();
    for (const unit of this.#units) unit[Symbol.dispose]();
  }
}

function residency(root: Unit, blocks: readonly Unit[], shard: Shard): Residency | undefined {
  if (shard === 'optimizer') return undefined;
  const units = [root, ...blocks];
  return {
    ...gatheredForPasses(root, blocks),
    collect(block) {
      settleBefore(units, block + 1);
      blocks[block]!.take();
      blocks[block]!.send();
    },
  };
}

/**
 * Goes on with what was sent before unit `i`, from the last unit to the first and then the last again: it holds a whole
 * gradient until it is waited for, and has had the pass through a block. On its way to main memory it has another one.
 */
function settleBefore(units: readonly Unit[], i: number): void {
  const before = (n: number) => units[(i + n) % units.length]!;
  before(1).bring();
  before(before(1).isOffloaded ? 2 : 1).settle();
}

/** Waits for all that was sent: one unit's is added while the next one's comes. */
function settleAll(units: readonly Unit[]): void {
  for (const [i, unit] of units.entries()) {
    unit.bring();
    units[i - 1]?.settle();
  }
  units.at(-1)!.settle();
}

/** Numbers of pieces, laid out as the slice of their unit. */
function momentSlice(unit: Unit, momentOf: (name: string) => Tensor): Tensor {
  return noGrad(() => {
    const slice = zeros([unit.slice.numel], { dtype: unit.slice.dtype, device: unit.slice.device });
    for (const [name, { at }] of unit.pieces) {
      const moment = momentOf(name).view([-1]);
      slice.narrow(0, at, moment.numel).copy_(moment);
    }
    return slice;
  });
}
