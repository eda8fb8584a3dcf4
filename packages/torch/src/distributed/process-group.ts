/**
 * Process groups: processes that compute together, each with a rank from 0 to `world` - 1, by torch.distributed's own
 * engine (gloo on the CPU, NCCL on GPUs).
 *
 *   const store = await TcpStore.open({ host, port });
 *   using group = await ProcessGroup.open({ store, rank, world });
 *   const total = group.allReduce(loss).wait();
 *
 * Every rank makes the same calls in the same order, with tensors of the same size and dtype. A method that ends in an
 * underscore changes its tensor. Nothing waits for ever: after `timeoutSeconds` a wait is an error.
 */
import { type Device, deviceCode } from '../device.js';
import { DistributedError, type Member, wordsOf } from '../errors.js';
import { native } from '../native.js';
import { noGrad } from '../scope.js';
import type { Tensor } from '../tensor.js';
import { type Collective, issue, type Reduce, ranksInWords } from './collective.js';
import { type Checks, Connection, type Pending } from './connection.js';
import { Failures } from './failures.js';
import { checkedSeconds } from './reach.js';
import type { Store } from './store.js';

/** gloo for CPU tensors, nccl for CUDA tensors. */
export type Backend = 'gloo' | 'nccl';

/** What a process says to join a group; `world`, `name` and `backend` are the same for all its ranks. */
export interface GroupOptions {
  /** Where the ranks find each other. It has to stay open as long as the group. */
  store: Store;
  /** This process: an integer from 0 to world - 1. */
  rank: number;
  /** The number of processes. */
  world: number;
  /** Default: gloo. */
  backend?: Backend | undefined;
  /** How long a rank waits for the others, at the beginning and in each call. Default: 600. */
  timeoutSeconds?: number | undefined;
  /** How long it waits for them at the beginning, where it is another time. Default: timeoutSeconds. */
  openSeconds?: number | undefined;
  /** One for each group over one store, and of one process. Default: 'world'. */
  name?: string | undefined;
  /** NCCL's device of this rank, as in 'cuda:0'. */
  device?: Device | undefined;
  /** gloo's address of this machine, by which peers reach it. Default: that by which it reaches the store. */
  address?: string | undefined;
  /**
   * 'all' compares every call with the other ranks' before anything is sent, and so waits for them; 'new' only calls of
   * an operation, dtype and size that were not made before. Default: 'all' with gloo, which ends a process that is sent
   * another size; 'new' with nccl.
   */
  checks?: Checks | undefined;
}

/** The backends that the addon was compiled with. */
export const backends = (): Backend[] => native().backends().split(' ') as Backend[];

/** How the ranks of a group reach each other: what those that are split from it have of it. */
interface Link {
  backend: Backend;
  address: string;
  device: Device | undefined;
  openSeconds: number;
}

/** A group of several processes. */
interface Opened {
  link: Link;
  connection: Connection;
}

const done = (tensor: Tensor): Pending => ({ tensor, wait: () => tensor });

/** The processes that compute together, as one of them sees them: its rank, and the collectives. */
export class ProcessGroup implements Disposable {
  private constructor(
    readonly rank: number,
    /** The number of processes. */
    readonly world: number,
    readonly name: string,
    private readonly opened: Opened | undefined,
  ) {}

  /**
   * Waits for all ranks and connects them. Errors: DistributedError that names the ranks that did not come in time, or
   * a rank that is there twice; RangeError for a rank or a world that is none.
   */
  static async open(options: GroupOptions): Promise<ProcessGroup> {
    const { store, rank, world, backend = 'gloo', timeoutSeconds = 600, name = 'world' } = options;
    const { openSeconds = timeoutSeconds } = options;
    requireRank(rank, world);
    checkedSeconds(timeoutSeconds);
    checkedSeconds(openSeconds);
    requireName(name);
    if (backend === 'nccl' && options.device === undefined)
      throw new TypeError("nccl needs the device of this rank, as in 'cuda:0'");
    if (!backends().includes(backend)) {
      throw new DistributedError(
        'ProcessGroup.open',
        '',
        `the addon was compiled without ${backend}: npx reanchor doctor says why`,
      );
    }
    const member = { rank, world, group: name };
    const checks = options.checks ?? (backend === 'gloo' ? 'all' : 'new');
    const failures = new Failures(member, timeoutSeconds, store);
    const address = options.address ?? store.localAddress ?? '';
    const link = { backend, address, device: options.device, openSeconds };
    return await ProcessGroup.connect(member, link, checks, failures);
  }

  /**
   * A group of these ranks of this one, in this order; each of them has to call it, and others must not. Groups of one
   * name have no rank in common. It fails together with this one: what ends a rank is known in both. Errors: as
   * {@link open}; RangeError for ranks that are none, or not this process's.
   */
  async split(ranks: readonly number[], name: string): Promise<ProcessGroup> {
    requireName(name);
    for (const rank of ranks) requireRank(rank, this.world);
    const rank = ranks.indexOf(this.rank);
    if (rank < 0 || new Set(ranks).size < ranks.length) {
      throw new RangeError(`rank ${this.rank} is to be among the ranks of its group, each once: ${ranks.join(', ')}`);
    }
    if (!this.opened || ranks.length === 1) return ProcessGroup.alone();
    const { link, connection } = this.opened;
    const member = { rank, world: ranks.length, group: `${this.name}.${name}.${ranks[0]}` };
    return await ProcessGroup.connect(member, link, connection.checks, connection.failures);
  }

  private static async connect(member: Member, link: Link, checks: Checks, failures: Failures): Promise<ProcessGroup> {
    const { rank, world, group: name } = member;
    const { backend, address, openSeconds } = link;
    const { store, timeoutSeconds } = failures;
    const connection = new Connection(member, checks, failures);
    await gather(store, member, backend, openSeconds);
    const device = deviceCode(link.device);
    try {
      native().openGroup(connection.control, store.id, 'gloo', rank, world, timeoutSeconds * 1000, address, undefined);
      native().openGroup(name, store.id, backend, rank, world, timeoutSeconds * 1000, address, device);
      // A rank that fails at once would cut those that still connect, which know no words of it then.
      connection.meet();
    } catch (cause) {
      native().closeGroup(connection.control);
      native().closeGroup(name);
      if (cause instanceof DistributedError) throw cause;
      throw new DistributedError('ProcessGroup.open', '', wordsOf(cause), { member, cause });
    }
    return new ProcessGroup(rank, world, name, { link, connection });
  }

  /** A group of this process alone, without a store: its calls copy, or do nothing. */
  static alone(): ProcessGroup {
    return new ProcessGroup(0, 1, 'alone', undefined);
  }

  /** A new tensor with the ranks' tensors reduced element by element. */
  allReduce(tensor: Tensor, reduce: Reduce = 'sum'): Pending {
    if (!this.opened) return done(noGrad(() => tensor.clone()));
    const call = { name: 'allReduce', reduce, given: tensor, refused: this.refusal(tensor) } as const;
    return this.start(call, tensor, (group) => issue.allReduce(group, tensor, reduce));
  }

  /** As allReduce, in place of the tensor's own elements; the tensor must be contiguous. */
  allReduce_(tensor: Tensor, reduce: Reduce = 'sum'): Pending {
    if (!this.opened) return done(tensor);
    const refused = this.refusal(tensor) ?? requireContiguous(tensor);
    const call = { name: 'allReduce', reduce, given: tensor, refused } as const;
    return this.start(call, tensor, (group) => issue.allReduce_(group, tensor, reduce));
  }

  /** The ranks' slices, one after the other in the first dimension: [N, ...] of each -> [world * N, ...]. */
  allGather(slice: Tensor): Pending {
    if (!this.opened) return done(noGrad(() => slice.clone()));
    const refused = this.refusal(slice) ?? requireDimension(slice);
    const call = { name: 'allGather', given: slice, refused } as const;
    return this.start(call, slice, (group) => issue.allGather(group, slice, this.world));
  }

  /** As allGather, into `whole`, which is contiguous and has world times the elements of a slice. */
  allGatherInto(whole: Tensor, slice: Tensor): Pending {
    if (!this.opened) return done(noGrad(() => whole.copy_(slice.view(whole.shape))));
    const refused = this.refusal(slice) ?? requireContiguous(whole) ?? this.requireRoom(whole, slice);
    const call = { name: 'allGather', given: slice, refused } as const;
    return this.start(call, slice, (group) => issue.allGatherInto(group, whole, slice, this.world));
  }

  /** The ranks' tensors reduced, of which each rank gets its part: [world * N, ...] -> [N, ...], rank after rank. */
  reduceScatter(whole: Tensor, reduce: Reduce = 'sum'): Pending {
    if (!this.opened) return done(noGrad(() => whole.clone()));
    const refused = this.refusal(whole) ?? requireDimension(whole) ?? this.requireParts(whole);
    const call = { name: 'reduceScatter', reduce, given: whole, refused } as const;
    return this.start(call, whole, (group) => issue.reduceScatter(group, whole, reduce, this.world));
  }

  /** Every rank's tensor gets the elements of the one of rank `source`; the tensor must be contiguous. */
  broadcast_(tensor: Tensor, source = 0): Pending {
    requireRank(source, this.world);
    if (!this.opened) return done(tensor);
    const refused = this.refusal(tensor) ?? requireContiguous(tensor);
    const call = { name: 'broadcast', source, given: tensor, refused } as const;
    return this.start(call, tensor, (group) => issue.broadcast_(group, tensor, source));
  }

  /** The sums over the ranks of each of these numbers, in float64, the same bits on every rank. */
  sum(values: readonly number[] | Float64Array): Float64Array {
    const numbers = Float64Array.from(values);
    return this.opened ? this.opened.connection.sum(numbers) : numbers;
  }

  /** Returns when all ranks have called it. Errors: DistributedError that names those that do not come. */
  barrier(): void {
    this.opened?.connection.barrier();
  }

  /**
   * Says why this rank stops, and leaves: the others' calls fail with these words at once. The group is only to be
   * closed then.
   */
  fail(words: string): void {
    this.opened?.connection.fail(words);
  }

  /** Waits for everything that was issued, and disconnects. Errors: the first of these waits. Twice is harmless. */
  close(): void {
    this.opened?.connection.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  private start(call: Collective, { shape, dtype }: Tensor, send: (group: string) => Tensor): Pending {
    return this.opened!.connection.start(call, `(${dtype}[${shape.join(', ')}])`, send);
  }

  private refusal(tensor: Tensor): string | undefined {
    const wanted = this.opened?.link.backend === 'nccl' ? 'cuda' : 'cpu';
    if (tensor.device.split(':')[0] === wanted) return undefined;
    return `a group of ${this.opened?.link.backend} takes tensors on ${wanted}, not on ${tensor.device}`;
  }

  private requireRoom(whole: Tensor, slice: Tensor): string | undefined {
    const fits = whole.dtype === slice.dtype && whole.device === slice.device;
    if (fits && whole.numel === this.world * slice.numel) return undefined;
    return `${whole} cannot hold ${this.world} slices like ${slice}`;
  }

  private requireParts(whole: Tensor): string | undefined {
    if (whole.shape[0]! % this.world === 0) return undefined;
    return `the first dimension of ${whole} cannot be divided among ${this.world} ranks: pad it`;
  }
}

function requireName(name: string): void {
  if (!/^[\w.-]+$/.test(name)) throw new RangeError(`the name of a group has letters, digits and . _ - alone: ${name}`);
}

function requireRank(rank: number, world: number): void {
  if (!Number.isInteger(world) || world < 1) throw new RangeError(`world is the number of processes, got ${world}`);
  if (Number.isInteger(rank) && rank >= 0 && rank < world) return;
  throw new RangeError(`a rank of ${world} processes is an integer from 0 to ${world - 1}, got ${rank}`);
}

const requireContiguous = (tensor: Tensor): string | undefined =>
  native().isContiguous(tensor.handle) ? undefined : `${tensor} is written to, and has to be contiguous`;

const requireDimension = (tensor: Tensor): string | undefined =>
  tensor.ndim > 0 ? undefined : 'the tensor needs a dimension to be divided or joined in: view([1])';

/**
 * Waits until every rank has said that it is there, and that it wants the same group. The last one to come tells the
 * others, so that the store's work grows with the ranks and not with their square.
 */
async function gather(store: Store, member: Member, backend: Backend, timeoutSeconds: number): Promise<void> {
  const { rank, world, group } = member;
  const refuse = (words: string, peers: readonly number[] = []) => {
    throw new DistributedError('ProcessGroup.open', '', words, { member, peers });
  };
  if (store.add(`${group}/times/${rank}`, 1) > 1) {
    refuse('two processes have this rank, or the store has had a group of this name before: names are for one use');
  }
  const wish = `${world} ranks by ${backend}`;
  const keyOf = (peer: number) => `${group}/wish/${peer}`;
  const compare = async (peer: number) => {
    const other = await store.get(keyOf(peer));
    if (other !== wish) refuse(`this rank wants ${wish}, and rank ${peer} ${other}`, [peer]);
  };
  store.set(keyOf(rank), wish);
  const end = performance.now() + timeoutSeconds * 1000;
  const ready = `${group}/ready/${wish}`;
  if (store.add(`${group}/count/${wish}`, 1) === world) store.set(ready, '');
  // Mostly it is one rank that is told something else: it need not wait for those that will never come.
  if ((await store.wait([keyOf(0)], timeoutSeconds)).length === 0) await compare(0);
  if ((await store.wait([ready], (end - performance.now()) / 1000)).length === 0) return;
  const missing: number[] = [];
  for (let peer = 0; peer < world; peer++) {
    if (store.has(keyOf(peer))) await compare(peer);
    else missing.push(peer);
  }
  refuse(`${ranksInWords(missing)} did not come within ${timeoutSeconds} s`, missing);
}
