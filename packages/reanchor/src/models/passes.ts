/** Forward passes over groups of completions, a micro-batch at a time, which several processes may share. */
import { setImmediate } from 'node:timers/promises';
import { ProcessGroup } from '@reanchor/torch';
import { type Group, groupTokens, microBatches } from '../data/index.js';
import { exchange, pieces } from '../parallel/exchange.js';
import { sum } from '../stats/index.js';

export interface PassOptions {
  /** Default: 4,096, or as many as the largest group has. */
  tokensPerMicroBatch?: number | undefined;
  /** Hears how many groups are done; where processes share them, as if all were as far as this one. */
  onProgress?: ((done: number) => void) | undefined;
  signal?: AbortSignal | undefined;
  /** The processes that share the micro-batches, each with the model, or its part; this one alone when left out. */
  world?: ProcessGroup | undefined;
  /** Called after each pass, by all processes equally often: where they agree whether to stop. */
  agree?: (() => void) | undefined;
}

/** What is computed of micro-batches. */
interface Pass {
  /** How many numbers there are of a group. */
  countOf(group: Group): number;
  /** The numbers of a micro-batch's groups, one after the other. */
  compute(groups: readonly Group[]): readonly number[];
  /** Whether a pass brings parameters from other processes, so that all have to make equally many. */
  isShared: boolean;
}

/**
 * The numbers of every group, in the order given, on all processes. The micro-batches are the same however many
 * processes share them, and each is computed by one: so are the numbers, to the bit where libtorch gives the same bits
 * for the same micro-batch. The event loop turns between micro-batches. Errors: the signal's reason once it is aborted;
 * DistributedError.
 */
export async function passes(groups: readonly Group[], options: PassOptions, pass: Pass): Promise<number[][]> {
  const { onProgress, signal, world = ProcessGroup.alone(), agree } = options;
  const largest = () => groups.reduce((most, group) => Math.max(most, groupTokens(group)), 4096);
  const batches = [...microBatches(groups, options.tokensPerMicroBatch ?? largest())];
  const own: (readonly number[] | undefined)[] = batches.map(() => undefined);
  let done = 0;
  for (let first = 0; first < batches.length; first += world.world) {
    const place = first + world.rank;
    const batch = batches[place];
    if (batch) own[place] = pass.compute(batch);
    else if (pass.isShared) pass.compute(batches[first]!);
    done += sum(batches.slice(first, first + world.world).map(({ length }) => length));
    onProgress?.(done);
    agree?.();
    await setImmediate();
    signal?.throwIfAborted();
  }
  const counts = batches.map((batch) => sum(batch.map(pass.countOf)));
  return pieces(exchange(world, own, counts).flat(), groups.map(pass.countOf));
}
