/** Processes that train together, for tests. Starting one takes seconds: a file of tests shares them. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import type { Strike } from './actions.js';
import type { MeasuredCall } from './measured-group.js';
import { answered, type EndedRank, RankProcesses } from './rank-processes.js';
import type { TraceNumbers, TraceOrder } from './trace-run.js';

/** A run that all processes of an order make. */
export interface TrainOrder {
  recipe: string;
  /** The recipe of rank 1, where it has another one. */
  other?: string;
  out: string;
  resume?: boolean;
  /** The optimizer step after which this rank, and no other, is asked to stop; 0 is before it begins. */
  stop?: { rank: number; step: number };
  /** Whether the answers have what was sent and held. */
  isMeasured?: boolean;
  /** What happens to processes on the way. */
  strikes?: readonly Strike[];
  /** Whether the answers have what was done. */
  isTold?: boolean;
  /** How long a process waits for the others. */
  timeoutSeconds?: number;
  /** The working folder of each process; that of the tests when left out. */
  folders?: readonly string[];
}

/** What a process has sent, and the most bytes of tensors that it has held. */
export interface RankMeasures {
  calls: MeasuredCall[];
  peak: number;
}

interface FinishedTraining {
  isFinished: boolean;
  steps: number;
  measures?: RankMeasures;
  actions?: string[];
}

export type TrainAnswer = FinishedTraining | EndedRank;

/** An order to one process, and its place among the others. */
export type RankOrder = (TrainOrder | TraceOrder) & { rank: number; world: number; port: number; group: string };

export class TrainingRanks implements AsyncDisposable {
  #orders = 0;

  #processes: RankProcesses | undefined;

  constructor(private readonly count: number) {}

  /** Starts the processes, of one thread each. */
  async start(): Promise<void> {
    this.#processes = await RankProcesses.start(new URL('training-rank.ts', import.meta.url), this.count);
  }

  /** Trains with the first `world` processes. */
  train(world: number, order: TrainOrder): Promise<TrainAnswer[]> {
    const stopped = order.strikes?.find(({ what }) => what === 'SIGSTOP')?.rank;
    return this.#run<TrainAnswer>(world, order, stopped);
  }

  /** Trains, and tells what each process has sent and held. Errors: the first of theirs. */
  async measure(world: number, order: TrainOrder): Promise<RankMeasures[]> {
    const answers = await this.train(world, { ...order, isMeasured: true });
    return answered<FinishedTraining>(answers).map(({ measures }) => measures!);
  }

  /** Follows a trace with the first `world` processes. Errors: the first of theirs. */
  async follow(world: number, order: TraceOrder): Promise<TraceNumbers[]> {
    return answered(await this.#run<TraceNumbers>(world, order));
  }

  #run<Answer>(world: number, order: TrainOrder | TraceOrder, stopped?: number): Promise<(Answer | EndedRank)[]> {
    const group = `run-${this.#orders++}`;
    const processes = this.#processes!;
    const { port } = processes.store;
    return processes.ask(world, (rank) => ({ ...order, rank, world, group, port }) satisfies RankOrder, stopped);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#processes?.[Symbol.asyncDispose]();
  }
}

/** Processes and a folder for the tests of a file, or of a `describe`: they begin before these and go after them. */
export function ranksOfTests(count: number, name: string): { ranks: TrainingRanks; folder: string } {
  const folder = mkdtempSync(join(tmpdir(), `${name}-`));
  const ranks = new TrainingRanks(count);
  beforeAll(() => ranks.start());
  afterAll(async () => {
    await ranks[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true });
  });
  return { ranks, folder };
}
