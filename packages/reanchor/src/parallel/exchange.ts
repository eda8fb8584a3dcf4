/** What the processes of a run tell each other of a step: numbers, never weights. */
import type { ProcessGroup } from '@reanchor/torch';
import { sum } from '../stats/index.js';

/**
 * The numbers of every micro-batch, on every process. `own` has those that this process has computed, and undefined
 * elsewhere; `counts` says how many numbers each micro-batch has. Exact, whatever the division: beside the one process
 * that has a number the others add 0. Errors: DistributedError.
 */
export function exchange(
  world: ProcessGroup,
  own: readonly (readonly number[] | undefined)[],
  counts: readonly number[],
): number[][] {
  if (world.world === 1) return own.map((numbers) => [...numbers!]);
  const values = new Float64Array(sum(counts));
  let first = 0;
  for (const [i, count] of counts.entries()) {
    values.set(own[i] ?? [], first);
    first += count;
  }
  return pieces(world.sum(values), counts);
}

/** Consecutive pieces of a list, `counts` long. */
export function pieces<T>(values: { slice(from: number, to: number): Iterable<T> }, counts: readonly number[]): T[][] {
  let first = 0;
  return counts.map((count) => {
    const piece = [...values.slice(first, first + count)];
    first += count;
    return piece;
  });
}
