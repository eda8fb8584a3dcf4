/** What becomes of groups where one of their ranks fails, and how each learns which rank it was. */
import { DistributedError, type Member, wordsOf } from '../errors.js';
import { native } from '../native.js';
import { ranksInWords } from './collective.js';
import type { Store } from './store.js';

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

/** A group and those that were split from it fail together: what is over for one is over for all. */
export class Failures {
  private readonly groups = new Set<string>();
  private first: DistributedError | undefined;

  constructor(
    /** Of the group that has all ranks. */
    readonly member: Member,
    readonly timeoutSeconds: number,
    readonly store: Store,
  ) {}

  /** The first failure; undefined as long as there is none. */
  get failure(): DistributedError | undefined {
    return this.first;
  }

  /** Counts a group of libtorch to those that fail together. */
  watch(group: string): void {
    this.groups.add(group);
  }

  /** To be called when it is closed. */
  forget(group: string): void {
    this.groups.delete(group);
  }

  /** Leaves for a reason of this rank's own: it becomes the words of the others' errors. */
  fail(words: string): void {
    this.report(true, words);
    this.first ??= new DistributedError('fail', '', words, { member: this.member });
    this.cut();
  }

  /** What has failed here is over for all: they are told, and their connections to this rank are cut. */
  failed(op: string, shapes: string, cause: unknown): DistributedError {
    const { member } = this;
    if (this.first !== undefined) {
      return new DistributedError(op, shapes, wordsOf(cause), { member, peers: this.first.peers, cause });
    }
    this.report(false, `${op}: ${wordsOf(cause)}`);
    this.cut();
    const { peers, words } = this.blame();
    this.first = new DistributedError(op, shapes, `${wordsOf(cause)}. ${words}`, { member, peers, cause });
    return this.first;
  }

  /** The others' calls fail at once, those that are under way too. */
  private cut(): void {
    for (const group of this.groups) native().abortGroup(group);
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
