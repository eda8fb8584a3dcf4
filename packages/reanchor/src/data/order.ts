/**
 * Which rows are trained on when. Everything here is a pure function of its arguments, so any step can be planned
 * alone.
 */
import { shuffled } from '../random.js';
import { type Group, groupTokens } from './pack.js';

/** What one optimizer step computes. */
export interface StepPlan {
  /** From 1. */
  step: number;
  /** Passes over the data done at the end of the step, a fraction. */
  epoch: number;
  /** Row positions, micro-batch after micro-batch. */
  microBatches: number[][];
  /** The process that computes each micro-batch, by its rank; one computes all when left out. */
  owners?: number[] | undefined;
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
  /** The sources of the rows, in their order, with weights. Default: one source of weight 1. */
  sources?: readonly SourceShare[] | undefined;
  /** The processes that share each step. Default: 1. */
  ranks?: number | undefined;
}

/** Consecutive rows of one source. */
export interface SourceShare {
  rows: number;
  /** How often an epoch passes over the source; 0.5 is half of its rows, 2 all of them twice. */
  weight: number;
}

/**
 * Rows of one epoch over n rows: of each source round(weight x rows), at least one. Errors: RangeError for sources that
 * have not n rows together.
 */
export function rowsPerEpoch(n: number, sources: readonly SourceShare[] = [{ rows: n, weight: 1 }]): number {
  const total = sources.reduce((sum, { rows }) => sum + rows, 0);
  if (total !== n) throw new RangeError(`the sources have ${total} rows, and there are ${n}`);
  return sources.reduce((sum, source) => sum + drawnPerEpoch(source), 0);
}

const drawnPerEpoch = ({ rows, weight }: SourceShare) => (rows === 0 ? 0 : Math.max(1, Math.round(rows * weight)));

/** Optimizer steps of one epoch of n rows. */
export function stepsPerEpoch(n: number, batchSize: number): number {
  return Math.ceil(n / batchSize);
}

/** Optimizer steps of a run on n rows: `steps` if given, else those of its epochs. */
export function stepCount(
  n: number,
  { batchSize, epochs, steps, sources }: Pick<PlanOptions, 'batchSize' | 'epochs' | 'steps' | 'sources'>,
): number {
  return steps ?? epochs * stepsPerEpoch(rowsPerEpoch(n, sources), batchSize);
}

/**
 * The steps of a run, in order. `lengths` gives the packed tokens of each row. `firstStep` starts at a later step, with
 * the same plan as if the earlier ones had been made. Errors: RangeError for no rows.
 */
export function* planSteps(lengths: readonly number[], options: PlanOptions, firstStep = 1): Generator<StepPlan> {
  const { batchSize, sources } = options;
  if (lengths.length === 0) throw new RangeError('there are no rows to plan steps for');
  const n = rowsPerEpoch(lengths.length, sources);
  const perEpoch = stepsPerEpoch(n, batchSize);
  const last = stepCount(lengths.length, options);
  let plannedEpoch = -1;
  let order: number[] = [];
  for (let step = firstStep; step <= last; step++) {
    const epoch = Math.floor((step - 1) / perEpoch);
    if (epoch !== plannedEpoch) {
      order = epochOrder(lengths.length, options, epoch);
      plannedEpoch = epoch;
    }
    const start = ((step - 1) % perEpoch) * batchSize;
    const rows = order.slice(start, start + batchSize);
    yield { step, epoch: epoch + (start + rows.length) / n, ...divide(rows, lengths, options) };
  }
}

/**
 * The rows of a step as micro-batches, in their order, and who computes which. Several processes have equally many
 * micro-batches, as far as there are rows, and about as many tokens: the rows are cut so that the longest micro-batch
 * is as short as it can be, and the longest one left goes to who has the fewest tokens.
 */
function divide(
  rows: readonly number[],
  lengths: readonly number[],
  { tokensPerMicroBatch, rowsPerMicroBatch, ranks = 1 }: PlanOptions,
): Pick<StepPlan, 'microBatches' | 'owners'> {
  const lengthOf = (row: number) => lengths[row]!;
  const cut = (budget: number) => [...fill(rows, lengthOf, budget, rowsPerMicroBatch)];
  let microBatches = cut(tokensPerMicroBatch);
  if (ranks === 1) return { microBatches, owners: microBatches.map(() => 0) };
  const passes = Math.ceil(microBatches.length / ranks);
  let [low, high] = [0, tokensPerMicroBatch];
  while (low + 1 < high) {
    const budget = Math.floor((low + high) / 2);
    const finer = cut(budget);
    if (finer.length > passes * ranks) low = budget;
    else [high, microBatches] = [budget, finer];
  }
  const tokens = microBatches.map((batch) => batch.reduce((sum, row) => sum + lengthOf(row), 0));
  return { microBatches, owners: deal(tokens, ranks, passes) };
}

/** An owner for each size, none with more than `most` of them: the largest first, to who has the least. */
function deal(sizes: readonly number[], ranks: number, most: number): number[] {
  const owners: number[] = [];
  const loads = Array.from({ length: ranks }, () => ({ size: 0, count: 0 }));
  const bySize = [...sizes.keys()].sort((a, b) => sizes[b]! - sizes[a]! || a - b);
  for (const i of bySize) {
    const open = [...loads.keys()].filter((rank) => loads[rank]!.count < most);
    const rank = open.reduce((best, one) => (loads[one]!.size < loads[best]!.size ? one : best));
    owners[i] = rank;
    loads[rank] = { size: loads[rank]!.size + sizes[i]!, count: loads[rank]!.count + 1 };
  }
  return owners;
}

/** The rows of an epoch, in the order in which they are taken. */
function epochOrder(n: number, { seed, shuffle, sources }: PlanOptions, epoch: number): number[] {
  let start = 0;
  const rows = (sources ?? [{ rows: n, weight: 1 }]).flatMap((source, i) => {
    const drawn = drawnRows(
      source,
      epoch,
      shuffle ? (pass) => shuffled(source.rows, seed, sourceKey, i, pass) : undefined,
    );
    const first = start;
    start += source.rows;
    return drawn.map((row) => first + row);
  });
  return shuffle ? shuffled(rows.length, seed, epochKey, epoch).map((i) => rows[i]!) : rows;
}

/**
 * The rows of a source in an epoch. Its passes, one after the other, make an endless list, and each epoch takes the
 * next piece of it: no row comes again before all have come. `orderOf` is the order of a pass; file order when left
 * out.
 */
function drawnRows(source: SourceShare, epoch: number, orderOf?: (pass: number) => number[]): number[] {
  const { rows: n } = source;
  const count = drawnPerEpoch(source);
  const drawn: number[] = [];
  for (let at = epoch * count; at < (epoch + 1) * count; ) {
    const first = at % n;
    const end = Math.min(n, first + (epoch + 1) * count - at);
    // The order within a whole pass does not matter, since the epoch is shuffled.
    const isWhole = first === 0 && end === n;
    const order = isWhole ? undefined : orderOf?.(Math.floor(at / n));
    for (let i = first; i < end; i++) drawn.push(order?.[i] ?? i);
    at += end - first;
  }
  return drawn;
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
const sourceKey = 7;

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
