/**
 * What a process group has of the outside: two groups of libtorch, one for data, and one of gloo over which ranks
 * compare what they are about to call. gloo ends the process where ranks send each other unequal sizes, and hangs where
 * they call different collectives; so they ask first.
 */
import { createHash } from 'node:crypto';
import { DistributedError, type Member, wordsOf } from '../errors.js';
import { native } from '../native.js';
import { keep, noGrad, tidy } from '../scope.js';
import { type Tensor, tensor } from '../tensor.js';
import { type Collective, disagreement, issue, ranksInWords, record, waitFor } from './collective.js';
import type { Store } from './store.js';

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

/** What a rank tells the others when it fails. `told`: it knows the cause, and is not just missing somebody. */
interface Report {
  rank: number;
  told: boolean;
  words: string;
}

/** How long a rank that failed waits for the words of the others. */
const GRACE_MS = 1000;

const blockFor = (milliseconds: number) =>
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, Math.max(1, milliseconds));

export class Connection {
  private readonly pending = new Set<Wait>();
  private readonly known = new Set<string>();
  private count = 0;
  private failure: DistributedError | undefined;
  private closed = false;

  constructor(
    readonly member: Member,
    readonly timeoutSeconds: number,
    private readonly store: Store,
    private readonly checks: Checks,
  ) {}

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
    if (this.closed) return;
    this.report(true, words);
    this.failure ??= new DistributedError('fail', '', words, { member: this.member });
    this.cut();
  }

  /** Waits for what was issued and closes the connections. Throws the first error of that, unless one was thrown. */
  close(): void {
    if (this.closed) return;
    const before = this.failure;
    for (const wait of [...this.pending]) wait.settle();
    this.closed = true;
    native().closeGroup(this.control);
    native().closeGroup(this.member.group);
    if (this.failure !== before) throw this.failure;
  }

  private requireOpen(op: string): void {
    const { member } = this;
    if (this.closed) throw new DistributedError(op, '', 'the group was closed', { member });
    if (this.failure === undefined) return;
    const words = `this group failed before, and is of no use any more. Its error was: ${this.failure.message}`;
    throw new DistributedError(op, '', words, { member, peers: this.failure.peers, cause: this.failure });
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
      throw this.failed(op, shapes, cause);
    }
  }

  /** What has failed here is over for all: they are told, and their connections to this rank are cut. */
  private failed(op: string, shapes: string, cause: unknown): DistributedError {
    const { member } = this;
    if (this.failure !== undefined) {
      return new DistributedError(op, shapes, wordsOf(cause), { member, peers: this.failure.peers, cause });
    }
    this.report(false, `${op}: ${wordsOf(cause)}`);
    this.cut();
    const { peers, words } = this.blame();
    this.failure = new DistributedError(op, shapes, `${wordsOf(cause)}. ${words}`, { member, peers, cause });
    return this.failure;
  }

  /** The others' calls fail at once, those that are under way too. */
  private cut(): void {
    native().abortGroup(this.control);
    native().abortGroup(this.member.group);
  }

  private keyOf = (rank: number) => `${this.member.group}/failed/${rank}`;

  private report(told: boolean, words: string): void {
    try {
      this.store.set(this.keyOf(this.member.rank), JSON.stringify({ rank: this.member.rank, told, words }));
    } catch {
      // The store went with the process that held it; the others notice that too.
    }
  }

  /** Which ranks are to blame: those that say so, else those that do not say that they miss somebody. */
  private blame(): { peers: number[]; words: string } {
    const { rank, world } = this.member;
    let silent = Array.from({ length: world }, (_, r) => r).filter((r) => r !== rank);
    const reports: Report[] = [];
    const end = performance.now() + Math.min(GRACE_MS, this.timeoutSeconds * 1000);
    try {
      for (;;) {
        for (const peer of silent.filter((r) => this.store.has(this.keyOf(r)))) {
          reports.push(JSON.parse(native().storeGet(this.store.id, this.keyOf(peer))) as Report);
          silent = silent.filter((r) => r !== peer);
        }
        if (silent.length === 0 || reports.some(({ told }) => told) || performance.now() >= end) break;
        blockFor(Math.min(Math.max(20, world), end - performance.now()));
      }
    } catch {
      return { peers: [], words: `The store at ${this.store.place} is gone too: the process that held it has ended` };
    }
    const told = reports.filter((report) => report.told);
    if (told.length > 0) {
      return { peers: told.map((r) => r.rank), words: told.map((r) => `Rank ${r.rank} said: ${r.words}`).join('. ') };
    }
    if (silent.length === 0) return { peers: [], words: 'All the other ranks report a failure too' };
    return { peers: silent, words: `There is no word from ${ranksInWords(silent)}: killed, hung or still at work` };
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
