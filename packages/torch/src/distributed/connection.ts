/**
 * What a process group has of the outside: two groups of libtorch, one for data, and one of gloo over which ranks
 * compare what they are about to call. gloo ends the process where ranks send each other unequal sizes, and hangs where
 * they call different collectives; so they ask first.
 */
import { createHash } from 'node:crypto';
import { DistributedError, type Member } from '../errors.js';
import { native } from '../native.js';
import { keep, noGrad, tidy } from '../scope.js';
import { type Tensor, tensor } from '../tensor.js';
import { type Collective, disagreement, issue, record, waitFor } from './collective.js';
import type { Failures } from './failures.js';

/** A collective that was issued. Its tensor must not be read or written before wait() has returned. */
export interface Pending {
  /** The tensor that will have the result. */
  readonly tensor: Tensor;
  /**
   * Waits until the result is there, and returns it. On a CUDA device only the device waits. The event loop stands
   * still. Errors: DistributedError, when a peer is gone, or does not come within the group's timeout.
   */
  wait(): Tensor;
}

/** Which calls are compared beforehand: each, or those that differ from all before in operation, dtype or size. */
export type Checks = 'all' | 'new';

export class Connection {
  private readonly pending = new Set<Wait>();
  private readonly known = new Set<string>();
  private count = 0;
  private closed = false;

  constructor(
    readonly member: Member,
    readonly checks: Checks,
    readonly failures: Failures,
  ) {
    for (const group of [this.control, member.group]) failures.watch(group);
  }

  /** The name of the group over which ranks compare calls and add up numbers. */
  get control(): string {
    return `${this.member.group}/control`;
  }

  /** Compares the call with the other ranks', issues it and returns without waiting for it. */
  start(call: Collective, shapes: string, send: (group: string) => Tensor): Pending {
    this.requireOpen(call.name);
    this.agree(call, shapes);
    const result = this.attempt(call.name, shapes, () => noGrad(() => send(this.member.group)));
    const wait = new Wait(result, keep(noGrad(() => result.detach())), (w) => this.finish(w, call.name, shapes));
    this.pending.add(wait);
    return wait;
  }

  /** Returns when all ranks have connected. */
  meet(): void {
    this.attempt('ProcessGroup.open', '', () => this.isOnAllRanks([]));
  }

  /** Returns when all ranks have called it. */
  barrier(): void {
    this.requireOpen('barrier');
    this.compare({ name: 'barrier' }, '');
  }

  /** The sums over the ranks of each of these numbers, the same bits on every rank. */
  sum(values: Float64Array): Float64Array {
    const shapes = `(${values.length} numbers)`;
    this.requireOpen('sum');
    this.compare({ name: 'sum', given: { dtype: 'float64', numel: values.length } }, shapes);
    return this.attempt('sum', shapes, () =>
      tidy(() => this.received(issue.allReduce_(this.control, tensor(values), 'sum'))),
    );
  }

  /** Leaves the group for a reason of this rank's own: it becomes the words of the others' errors. */
  fail(words: string): void {
    if (!this.closed) this.failures.fail(words);
  }

  /** Waits for what was issued and closes the connections. Throws the first error of that, unless one was thrown. */
  close(): void {
    if (this.closed) return;
    const before = this.failures.failure;
    for (const wait of [...this.pending]) wait.settle();
    this.closed = true;
    for (const group of [this.control, this.member.group]) {
      this.failures.forget(group);
      native().closeGroup(group);
    }
    if (this.failures.failure !== before) throw this.failures.failure;
  }

  private requireOpen(op: string): void {
    const { member } = this;
    const { failure } = this.failures;
    if (this.closed) throw new DistributedError(op, '', 'the group was closed', { member });
    if (failure === undefined) return;
    const words = `this group failed before, and is of no use any more. Its error was: ${failure.message}`;
    throw new DistributedError(op, '', words, { member, peers: failure.peers, cause: failure });
  }

  private agree(call: Collective, shapes: string): void {
    const kind = record(call, 0).join();
    if (this.checks === 'new' && call.refused !== undefined) {
      // The others may know a call like this, and would not hear of it.
      this.fail(`${call.name}: ${call.refused}`);
      throw new DistributedError(call.name, shapes, call.refused, { member: this.member });
    }
    if (this.checks === 'all' || !this.known.has(kind)) this.compare(call, shapes);
    else this.count++;
    this.known.add(kind);
  }

  /** Throws unless every rank is about to make this very call; all ranks throw then, and the group stays usable. */
  private compare(call: Collective, shapes: string): void {
    const { member } = this;
    const mine = record(call, ++this.count);
    const agreed = this.attempt(call.name, shapes, () => this.isOnAllRanks(mine));
    // All ranks have seen that they differ. Who does costs more to say, and is said then only.
    const records = agreed ? [] : this.attempt(call.name, shapes, () => this.gathered(mine));
    if (call.refused !== undefined) throw new DistributedError(call.name, shapes, call.refused, { member });
    if (agreed) return;
    const { peers, words } = disagreement(records, member.rank);
    throw new DistributedError(call.name, shapes, words, { member, peers });
  }

  /**
   * Whether all ranks give these numbers: whether a digest of them, added up over the ranks, is so many times this
   * rank's. A sum of one number takes gloo a few messages, where the numbers themselves would go round the ranks.
   */
  private isOnAllRanks(numbers: readonly number[]): boolean {
    // 40 bits, so that the sum is exact on 8,192 ranks.
    const digest = createHash('sha256').update(numbers.join()).digest().readUIntBE(0, 5);
    const sum = tidy(() => this.received(issue.allReduce_(this.control, tensor(Float64Array.of(digest)), 'sum')));
    return sum[0] === digest * this.member.world;
  }

  private gathered(numbers: readonly number[]): Float64Array {
    const { world } = this.member;
    return tidy(() => this.received(issue.allGather(this.control, tensor(Float64Array.from(numbers)), world)));
  }

  private received(result: Tensor): Float64Array {
    waitFor(result);
    return result.data() as Float64Array;
  }

  private finish(wait: Wait, op: string, shapes: string): void {
    this.pending.delete(wait);
    this.attempt(op, shapes, () => waitFor(wait.alias));
  }

  private attempt<T>(op: string, shapes: string, call: () => T): T {
    try {
      return call();
    } catch (cause) {
      throw this.failures.failed(op, shapes, cause);
    }
  }
}

class Wait implements Pending {
  private settled = false;
  private error: unknown;

  /** @param alias the result's memory under a handle of its own, for the caller may dispose of the result */
  constructor(
    readonly tensor: Tensor,
    readonly alias: Tensor,
    private readonly finish: (wait: Wait) => void,
  ) {}

  settle(): void {
    if (this.settled) return;
    this.settled = true;
    try {
      this.finish(this);
    } catch (error) {
      this.error = error;
    }
    this.alias.dispose();
  }

  wait(): Tensor {
    this.settle();
    if (this.error !== undefined) throw this.error;
    return this.tensor;
  }
}
