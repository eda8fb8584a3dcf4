/**
 * Which rows are trained on when. Everything here is a pure function of its arguments, so any step can be planned
 * alone.
 */
import { type Group, groupTokens } from './pack.js';
import { shuffled } from './random.js';

/** What one optimizer step computes. */
export interface StepPlan {
  /** From 1. */
  step: number;
  /** Passes over the data done at the end of the step, a fraction. */
  epoch: number;
  /** Row positions, micro-batch after micro-batch. */
  microBatches: number[][];
}

export interface PlanOptions {
  /** Rows of an optimizer step; the last step of an epoch may have fewer. */
  batchSize: number;
  /** Packed tokens of a micro-batch at most; a row that alone has more gets its own micro-batch. */
  tokensPerMicroBatch: number;
  /** Rows of a micro-batch at most. Default: no limit. */
  rowsPerMicroBatch?: number | undefined;
  epochs: number;
  /** The number of steps, in place of `epochs`. */
  steps?: number | undefined;
  seed: number;
  /** Whether each epoch has its own random order; otherwise rows come in file order. */
  shuffle: boolean;
}

/** Optimizer steps of one pass over n rows. */
export function stepsPerEpoch(n: number, batchSize: number): number {
  return Math.ceil(n / batchSize);
}

/** Optimizer steps of a run on n rows: `steps` if given, else those of its epochs. */
export function stepCount(
  n: number,
  { batchSize, epochs, steps }: Pick<PlanOptions, 'batchSize' | 'epochs' | 'steps'>,
): number {
  return steps ?? epochs * stepsPerEpoch(n, batchSize);
}

/**
 * The steps of a run, in order. `lengths` gives the packed tokens of each row. `firstStep` starts at a later step, with
 * the same plan as if the earlier ones had been made. Errors: RangeError for no rows.
 */
export function* planSteps(lengths: readonly number[], options: PlanOptions, firstStep = 1): Generator<StepPlan> {
  const { batchSize, tokensPerMicroBatch, rowsPerMicroBatch, seed, shuffle } = options;
  const n = lengths.length;
  if (n === 0) throw new RangeError('there are no rows to plan steps for');
  const perEpoch = stepsPerEpoch(n, batchSize);
  const last = stepCount(n, options);
  let plannedEpoch = -1;
  let order: number[] = [];
  for (let step = firstStep; step <= last; step++) {
    const epoch = Math.floor((step - 1) / perEpoch);
    if (epoch !== plannedEpoch) {
      order = shuffle ? shuffled(n, seed, epochKey, epoch) : Array.from({ length: n }, (_, i) => i);
      plannedEpoch = epoch;
    }
    const start = ((step - 1) % perEpoch) * batchSize;
    const rows = order.slice(start, start + batchSize);
    const microBatches = [...fill(rows, (row) => lengths[row]!, tokensPerMicroBatch, rowsPerMicroBatch)];
    yield { step, epoch: epoch + (start + rows.length) / n, microBatches };
  }
}

/**
 * Groups in order, cut into micro-batches of at most `tokensPerMicroBatch` packed tokens; a group that alone has more
 * gets its own.
 */
export function microBatches(groups: readonly Group[], tokensPerMicroBatch: number): Generator<Group[]> {
  return fill(groups, groupTokens, tokensPerMicroBatch);
}

/**
 * `count` of the positions 0 ... n - 1, drawn by the seed, ascending: rows to hold out. Errors: RangeError if count >
 * n.
 */
export function splitRows(n: number, count: number, seed: number): number[] {
  if (count > n) throw new RangeError(`${count} of ${n} rows cannot be held out`);
  return shuffled(n, seed, splitKey)
    .slice(0, count)
    .sort((a, b) => a - b);
}

// Keys of the orders that one seed gives.
const epochKey = 1;
const splitKey = 2;

function* fill<T>(
  items: readonly T[],
  lengthOf: (item: T) => number,
  budget: number,
  most = Number.POSITIVE_INFINITY,
): Generator<T[]> {
  let filled: T[] = [];
  let length = 0;
  for (const item of items) {
    const added = lengthOf(item);
    if (filled.length > 0 && (length + added > budget || filled.length >= most)) {
      yield filled;
      filled = [];
      length = 0;
    }
    filled.push(item);
    length += added;
  }
  if (filled.length > 0) yield filled;
}
