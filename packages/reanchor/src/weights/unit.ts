/** Parameters that come and go together, and of which each process moves a part. */
import {
  cat,
  copyToDevice,
  copyToHost,
  type Device,
  type DType,
  dtypeBytes,
  empty,
  emptyPinned,
  keep,
  noGrad,
  type Pending,
  type ProcessGroup,
  resizeStorage,
  type Tensor,
  tidy,
  untracked,
  zeros,
} from '@reanchor/torch';
import type { Residency } from '../nn/segments.js';
import type { UnitPlan } from './unit-plan.js';

export interface UnitOptions {
  world: ProcessGroup;
  /** The dtype in which the whole computes, and that of the slices, which are moved. */
  dtype: DType;
  kept: DType;
  /** The dtype in which gradients travel. */
  reduce: DType;
  /** Where the whole computes, and where the slices are. */
  device: Device;
  keptOn: Device;
  /** Whether the whole is there between passes as well. */
  isResident: boolean;
  /** Its parameters, and who has which part of them. */
  plan: UnitPlan;
}

/** The part of a parameter that a process has. */
export interface Piece {
  /** Its elements, with as many dimensions as make AdamW treat them as the parameter: 1, or 2. */
  tensor: Tensor;
  /** The first of them, counted in the parameter, whose shape is `shape`. */
  from: number;
  shape: readonly number[];
}

/** A piece, and where in the slice of its unit it begins. */
interface PlacedPiece extends Piece {
  at: number;
}

/**
 * One flat buffer of parameters, `whole`, whose views are what a network computes with for ever, and a `slice` of it
 * for each process. The memory of the whole comes by a gather of the slices before it is used, and goes after.
 *
 *     slice    [n]            in the dtype of what is moved; n = parameters / processes, rounded up
 *     whole    [n processes]  in the dtype of the network; the last elements may be padding
 */
export class Unit implements Disposable {
  readonly #views = new Map<string, Tensor>();
  readonly #pieces = new Map<string, PlacedPiece>();
  readonly #slice: Tensor;
  readonly #whole: Tensor;
  #isHere = true;
  #isHeld = false;
  #arriving: Pending | undefined;
  /** The slice's gradient: while it is summed over the processes, then on its way to main memory. */
  #leaving: Pending | undefined;
  #descending: Pending | undefined;
  /** Of the whole, until it is summed over the processes. */
  #wholeGradient: Tensor | undefined;
  #gradient: Tensor | undefined;

  /** Makes the buffers, with zeros. */
  constructor(private readonly options: UnitOptions) {
    const { world, dtype, kept, device, keptOn, plan } = options;
    const count = plan.sliceNumel(world.world);
    const pieces = plan.pieces(world.world, world.rank);
    const whole = tidy(() => keep(zeros([count * world.world], { dtype, device })));
    const slice = tidy(() => keep(zeros([count], { dtype: kept, device: keptOn })));
    [this.#whole, this.#slice] = [whole, slice];
    tidy(() => {
      for (const [name, { shape, at, numel }] of plan.parameters) {
        // What is filled anew with the same values between forward and backward is no change to autograd.
        this.#views.set(name, keep(untracked(whole.narrow(0, at, numel).view([...shape]))));
        const piece = pieces.get(name);
        if (!piece) continue;
        const part = slice.narrow(0, piece.at, piece.numel);
        const tensor = keep(part.view(shape.length > 1 ? [1, piece.numel] : [piece.numel]));
        this.#pieces.set(name, { tensor, from: piece.from, at: piece.at, shape });
      }
    });
  }

  /** The parameters, as the network has them. */
  get views(): ReadonlyMap<string, Tensor> {
    return this.#views;
  }

  /** Those parts of parameters that this process moves. */
  get pieces(): ReadonlyMap<string, PlacedPiece> {
    return this.#pieces;
  }

  get slice(): Tensor {
    return this.#slice;
  }

  /** Whether the slice is in main memory, and the whole on a GPU. */
  get isOffloaded(): boolean {
    const { device, keptOn } = this.options;
    return device !== keptOn;
  }

  /** Of the slice, summed over the processes; undefined before {@link settle}. */
  get gradient(): Tensor | undefined {
    return this.#gradient;
  }

  /** Gives a parameter its values: to the slice what is this process's, and to the whole as long as it is there. */
  put(name: string, value: Tensor): void {
    noGrad(() =>
      tidy(() => {
        const piece = this.#pieces.get(name);
        if (piece)
          piece.tensor.copy_(value.view([-1]).narrow(0, piece.from, piece.tensor.numel).view(piece.tensor.shape));
        if (this.#isHere) this.#views.get(name)!.copy_(value);
      }),
    );
  }

  /** Sets the slice, which another unit of the same plan has. */
  copyFrom({ slice }: Unit): void {
    noGrad(() => this.#slice.copy_(slice));
    if (this.#isHere) this.refresh();
  }

  /** Begins to bring the whole. */
  gather(): void {
    if (this.#isHere || this.#arriving) return;
    const { dtype, world } = this.options;
    resizeStorage(this.#whole, this.#whole.numel * dtypeBytes(dtype));
    this.#arriving = tidy(() => {
      if (!this.isOffloaded) return world.allGatherInto(this.#whole, this.#slice.to(dtype));
      return world.world === 1 ? this.#upload(this.#whole) : world.allGatherInto(this.#whole, this.#uploaded());
    });
  }

  /** Brings the whole. */
  use(): void {
    if (this.#isHere) return;
    this.gather();
    this.#arriving!.wait();
    this.#arriving = undefined;
    this.#isHere = true;
  }

  /** Brings the whole, which then stays until {@link release}. */
  hold(): void {
    this.use();
    this.#isHeld = true;
  }

  /** Gives back what {@link hold} has brought. */
  release(): void {
    this.#isHeld = false;
    this.free();
  }

  /** Gives the memory of the whole back, where it does not stay. */
  free(): void {
    if (this.options.isResident || this.#isHeld) return;
    if (this.#arriving) this.use();
    resizeStorage(this.#whole, 0);
    this.#isHere = false;
  }

  /** Brings the whole again, where it stays, after slices have moved. */
  refresh(): void {
    if (this.options.isResident) {
      this.#isHere = false;
      this.use();
    } else this.free();
  }

  /** Takes the gradients that a backward pass has left at the views, if any, and adds them up. */
  take(): void {
    const views = [...this.#views.values()];
    if (views.every((view) => view.grad === null)) return;
    noGrad(() =>
      tidy(() => {
        // The values may be gone by now.
        const { plan, dtype, device, kept } = this.options;
        const zerosOf = (numel: number) => zeros([numel], { dtype, device });
        const parts = views.map((view) => view.grad?.view([-1]) ?? zerosOf(view.numel));
        for (const view of views) view.grad = null;
        const padding = this.#whole.numel - plan.numel;
        if (padding > 0) parts.push(zerosOf(padding));
        const flat = cat(parts);
        const sum = this.#wholeGradient;
        // The first is not widened before there is a second.
        this.#wholeGradient = keep(sum ? sum.to(kept).add_(flat) : flat);
        sum?.dispose();
      }),
    );
  }

  /** Begins to sum what was taken over the processes; all have to call it. */
  send(): void {
    this.settle();
    const { reduce, dtype, device, world } = this.options;
    tidy(() => {
      const flat = this.#wholeGradient ?? zeros([this.#whole.numel], { dtype, device });
      // One alone adds nothing up: what is narrower is widened where it arrives.
      const isAsNarrow = world.world === 1 && dtypeBytes(flat.dtype) <= dtypeBytes(reduce);
      this.#leaving = world.reduceScatter(isAsNarrow ? flat : flat.to(reduce));
      keep(this.#leaving.tensor);
    });
    this.#wholeGradient?.dispose();
    this.#wholeGradient = undefined;
  }

  /** Begins to sum the slice's gradient over processes that have the same slice. */
  sendTo(replicas: ProcessGroup): void {
    const { reduce, device } = this.options;
    const gradient = this.#gradient!;
    tidy(() => {
      this.#leaving = replicas.allReduce(gradient.to({ device }).to(reduce));
      keep(this.#leaving.tensor);
    });
    gradient.dispose();
    this.#gradient = undefined;
  }

  /** Waits for the sum of what was sent, and begins to bring it where the slice is. */
  bring(): void {
    if (!this.#leaving) return;
    const sum = this.#leaving.wait();
    this.#leaving = undefined;
    if (!this.isOffloaded) {
      this.#descending = { tensor: sum, wait: () => sum };
      return;
    }
    const descending = tidy(() => copyToHost(sum));
    keep(descending.tensor);
    this.#descending = descending;
    sum.dispose();
  }

  /** Waits for what was sent, and adds it to what is there. */
  settle(): void {
    this.bring();
    if (!this.#descending) return;
    const sum = this.#descending.wait();
    this.#descending = undefined;
    tidy(() => {
      if (this.#gradient) noGrad(() => this.#gradient!.add_(sum));
      // Pinned memory is for what is under way.
      else this.#gradient = keep(sum.to(this.options.kept, false, this.isOffloaded));
    });
    sum.dispose();
  }

  /** Gives each piece its part of the gradient. */
  spread(): void {
    tidy(() => {
      for (const { tensor, at } of this.#pieces.values()) {
        tensor.grad = this.#gradient!.narrow(0, at, tensor.numel).view(tensor.shape);
      }
    });
  }

  /** Forgets gradients, those that are still under way too. */
  clearGradient(): void {
    this.settle();
    this.#wholeGradient?.dispose();
    this.#wholeGradient = undefined;
    for (const { tensor } of this.#pieces.values()) tensor.grad = null;
    this.#gradient?.dispose();
    this.#gradient = undefined;
  }

  /**
   * Parameters whole and in the dtype in which they are kept, from numbers of each process that lie as its slice does;
   * all have to call it.
   */
  wholes(slice: Tensor = this.#slice): Map<string, Tensor> {
    const { world, device, plan } = this.options;
    const all = world.allGather(slice.to({ device })).wait();
    return new Map(
      [...plan.parameters].map(([name, { shape, at, numel }]) => [name, all.narrow(0, at, numel).view([...shape])]),
    );
  }

  /** Begins to copy the slice to where the network computes, in its dtype. */
  #upload(target: Tensor): Pending {
    const { dtype } = this.options;
    return copyToDevice(target, emptyPinned(this.#slice.shape, dtype).copy_(this.#slice));
  }

  #uploaded(): Tensor {
    const { dtype, device } = this.options;
    return this.#upload(empty(this.#slice.shape, { dtype, device })).wait();
  }

  [Symbol.dispose](): void {
    for (const view of this.#views.values()) view.dispose();
    for (const { tensor } of this.#pieces.values()) tensor.dispose();
    const underWay = this.#descending?.tensor;
    for (const tensor of [this.#slice, this.#whole, this.#wholeGradient, underWay, this.#gradient]) tensor?.dispose();
  }
}

/** What `work` makes while this process has units as a whole; all processes have to call it. */
export async function withWholes<T>(units: readonly Unit[], work: () => Promise<T>): Promise<T> {
  for (const unit of units) unit.hold();
  try {
    return await work();
  } finally {
    for (const unit of units) unit.release();
  }
}

/** What gathers units for the passes through them: the root for a whole pass, each block for its part of it. */
export function gatheredForPasses(root: Unit, blocks: readonly Unit[]): Omit<Residency, 'collect'> {
  return {
    begin: () => root.use(),
    enter(block, next) {
      blocks[block]!.use();
      if (next !== undefined) blocks[next]!.gather();
    },
    leave: (block) => blocks[block]!.free(),
  };
}
