/** Threads that make rows tokens, beside the one that reads them. */
import { availableParallelism } from 'node:os';
import { setFlagsFromString } from 'node:v8';
import { Worker } from 'node:worker_threads';
import type { DataKind } from '../data/index.js';
import {
  partsOf,
  type TextRows,
  type TokenBlock,
  type Tokenizing,
  type TokenizingParts,
  tokenizeBlock,
} from './tokenize-block.js';

/** A thread has so many blocks at most, so that it need not wait for the next, and few texts are in memory. */
const blocksAhead = 2;
const mostThreads = 7;

/**
 * Rows are garbage soon: while they are made tokens the heap of each thread grows by so many percent of what it holds,
 * and not, as V8 has it, several times over. Measured: 450 MB where there were 685, for a tenth more processor time.
 */
const heapGrowth = 30;

/** Threads beside this one: one a core. Each has a tokenizer of its own, which is memory. */
export const usualThreads = () => Math.min(mostThreads, availableParallelism() - 1);

/** Makes blocks of rows tokens, in other threads, and while these have enough to do in this one. */
export class Tokenizers<Kind extends DataKind> implements Disposable {
  readonly #threads: Thread[];
  readonly #own: Tokenizing<Kind>;

  /** `threads` besides this one; with none, or a tokenizer that is in this one alone, the work is done here. */
  constructor(own: Tokenizing<Kind>, threads: number) {
    this.#own = own;
    const parts = threads > 0 ? partsOf(own) : undefined;
    if (parts) setFlagsFromString(`--heap-growing-percent=${heapGrowth}`);
    this.#threads = parts ? Array.from({ length: threads }, () => new Thread(parts)) : [];
  }

  get hasThreads(): boolean {
    return this.#threads.length > 0;
  }

  /** Blocks that it makes sense to have under way at once: those of the threads, and one of this one. */
  get most(): number {
    return blocksAhead * this.#threads.length + 1;
  }

  /** Errors: those of `tokenizeRows`. */
  async make(rows: TextRows<Kind>): Promise<TokenBlock> {
    const free = this.#threads.filter(({ waiting }) => waiting < blocksAhead);
    const thread = free.sort((a, b) => a.waiting - b.waiting)[0];
    return (await thread?.make(rows)) ?? tokenizeBlock(this.#own, rows);
  }

  [Symbol.dispose](): void {
    if (this.hasThreads) setFlagsFromString('--heap-growing-percent=0');
    for (const thread of this.#threads) thread.end();
  }
}

class Thread {
  readonly #worker: Worker;
  readonly #asked: ((made: TokenBlock | undefined) => void)[] = [];
  #isOver = false;

  constructor(parts: TokenizingParts) {
    const [main, how] = threadProgram();
    this.#worker = new Worker(main, {
      workerData: parts,
      ...how,
      execArgv: [],
      resourceLimits: { maxYoungGenerationSizeMb: 16 },
    });
    this.#worker.unref();
    this.#worker.on('message', (made: TokenBlock | undefined) => this.#asked.shift()?.(made));
    // What a thread that has failed was asked for is made by who has asked.
    this.#worker.on('error', () => this.#end());
    this.#worker.on('exit', () => this.#end());
  }

  /** Blocks that it was asked for and has not made. */
  get waiting(): number {
    return this.#isOver ? Number.POSITIVE_INFINITY : this.#asked.length;
  }

  /** Undefined where it cannot be made here. */
  make(rows: TextRows): Promise<TokenBlock | undefined> {
    if (this.#isOver) return Promise.resolve(undefined);
    this.#worker.ref();
    return new Promise((resolve) => {
      this.#asked.push((made) => {
        if (this.#asked.length === 0) this.#worker.unref();
        resolve(made);
      });
      this.#worker.postMessage(rows);
    });
  }

  end(): void {
    this.#isOver = true;
    void this.#worker.terminate();
  }

  #end(): void {
    this.#isOver = true;
    for (const resolve of this.#asked.splice(0)) resolve(undefined);
  }
}

/** The program of a thread: that of the package, or its source, as tests run it. */
function threadProgram(): [main: string | URL, how: { eval?: boolean }] {
  const main = new URL('./thread-main.js', import.meta.url);
  if (!import.meta.url.endsWith('.ts')) return [main, {}];
  // Node.js 20 does not take a loader that a thread is started with.
  const source = main.href.replace(/js$/, 'ts');
  const loader = import.meta.resolve('tsx/esm/api');
  return [`import('${loader}').then((tsx) => (tsx.register(), import('${source}')))`, { eval: true }];
}
