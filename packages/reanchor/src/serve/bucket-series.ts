/**
 * Metrics over steps in bounded memory: least, largest and mean value per bucket of steps. When a run grows beyond the
 * buckets there are, neighbours are put together and each bucket covers twice as many steps.
 */

/** Metrics beyond these are left out: a column takes up to 128 KB. */
const mostMetrics = 500;

/** Places of a bucket's numbers in a column. */
const [min, max, sum, count, numbers] = [0, 1, 2, 3, 4];

/** One metric: its values in each bucket, side by side so that a value touches one line of memory. */
class Column {
  readonly data: Float64Array;
  /** Values that are NaN or infinite; they are in no bucket. */
  notFinite = 0;
  first: MetricPoints['first'];
  last = Number.NaN;
  /** The line, counted from 1, that `last` is of. */
  lastLine = 0;

  constructor(readonly capacity: number) {
    this.data = new Float64Array(numbers * capacity);
  }

  /** Puts neighbours together. */
  merge(): void {
    const { data, capacity } = this;
    for (let to = 0; to < capacity / 2; to++) {
      const [a, b, at] = [2 * to * numbers, (2 * to + 1) * numbers, to * numbers];
      const [hasA, hasB] = [data[a + count]! > 0, data[b + count]! > 0];
      const only = hasA ? a : b;
      data[at + min] = hasA && hasB ? Math.min(data[a + min]!, data[b + min]!) : data[only + min]!;
      data[at + max] = hasA && hasB ? Math.max(data[a + max]!, data[b + max]!) : data[only + max]!;
      const [sums, counts] = [data[a + sum]! + data[b + sum]!, data[a + count]! + data[b + count]!];
      data[at + sum] = sums;
      data[at + count] = counts;
    }
    data.fill(0, (capacity / 2) * numbers);
  }
}

/** Points of a metric, one for each entry of `steps` in {@link SeriesPoints}; null where there is no finite value. */
export interface MetricPoints {
  mean: (number | null)[];
  /** Left out when every point stands for one value. */
  min?: (number | null)[];
  max?: (number | null)[];
  /** Values that were NaN or infinite. */
  notFinite: number;
  /** The first value that is finite, and the newest one, null when it is not; at full precision. */
  first: { step: number; value: number } | undefined;
  last: number | null;
}

/** A part of a series, thinned to a number of points. */
export interface SeriesPoints {
  /** Steps that a point stands for. */
  width: number;
  /** The last step of each point. */
  steps: number[];
  metrics: Record<string, MetricPoints>;
}

interface PointsOptions {
  from?: number | undefined;
  width?: number;
  only?: string;
}

export class BucketSeries {
  /** Steps of a bucket; a power of two. */
  width = 1;
  /** Buckets up to the last one that has something. */
  used = 0;
  /** Lines taken. */
  lines = 0;
  lastStep = -1;
  /** The step whose metrics are added. */
  #step = 0;
  readonly #columns: (Column | undefined)[] = [];
  readonly #count: Uint32Array;
  readonly #last: Float64Array;
  /** Where the lines of a bucket begin and end in the file, in bytes. */
  readonly #begin: Float64Array;
  readonly #end: Float64Array;

  /** `names` are those of the metrics' numbers; steps below `first` are not taken; `capacity` is a power of two. */
  constructor(
    readonly names: readonly string[],
    readonly first = 0,
    readonly capacity = 4096,
  ) {
    this.#count = new Uint32Array(capacity);
    this.#last = new Float64Array(capacity);
    this.#begin = new Float64Array(capacity).fill(Number.POSITIVE_INFINITY);
    this.#end = new Float64Array(capacity);
  }

  /** The bucket of a step whose line lies at these bytes; -1 for a step that is not taken. */
  bucket(step: number, begin: number, end: number): number {
    let bucket = Math.floor((step - this.first) / this.width);
    if (bucket < 0) return -1;
    while (bucket >= this.capacity) {
      this.#merge();
      bucket = Math.floor((step - this.first) / this.width);
    }
    if (bucket >= this.used) this.used = bucket + 1;
    this.#count[bucket]! += 1;
    this.lines += 1;
    this.#step = step;
    if (step > this.lastStep) this.lastStep = step;
    if (step > this.#last[bucket]!) this.#last[bucket] = step;
    if (begin < this.#begin[bucket]!) this.#begin[bucket] = begin;
    if (end > this.#end[bucket]!) this.#end[bucket] = end;
    return bucket;
  }

  add(metric: number, bucket: number, value: number): void {
    if (metric >= mostMetrics) return;
    let column = this.#columns[metric];
    if (column === undefined) {
      column = new Column(this.capacity);
      this.#columns[metric] = column;
    }
    column.last = value;
    column.lastLine = this.lines;
    // NaN and infinities alone differ from themselves when they are subtracted.
    if (value - value !== 0) {
      column.notFinite += 1;
      return;
    }
    column.first ??= { step: this.#step, value };
    const { data } = column;
    const at = bucket * numbers;
    const isFirst = data[at + count] === 0;
    if (isFirst || value < data[at + min]!) data[at + min] = value;
    if (isFirst || value > data[at + max]!) data[at + max] = value;
    data[at + sum]! += value;
    data[at + count]! += 1;
  }

  /** The newest value of each metric, or those of the newest line alone; NaN and infinities as they are. */
  lastValues(of: 'metric' | 'line' = 'metric'): Record<string, number> {
    const isMeant = (column: Column | undefined): column is Column =>
      column !== undefined && (of === 'metric' || column.lastLine === this.lines);
    return Object.fromEntries(
      this.#columns.flatMap((column, i) => (isMeant(column) ? [[this.names[i]!, column.last]] : [])),
    );
  }

  /** Whether any line had a metric. */
  has(metric: string): boolean {
    return this.#columns[this.names.indexOf(metric)] !== undefined;
  }

  /** The bytes of the file in which the lines of these steps are; undefined when there are none. */
  bytesOf(from: number, to: number): [begin: number, end: number] | undefined {
    let [begin, end] = [Number.POSITIVE_INFINITY, 0];
    const [low, high] = this.#range(from, to);
    for (let i = low; i < high; i++) {
      begin = Math.min(begin, this.#begin[i]!);
      end = Math.max(end, this.#end[i]!);
    }
    return begin < end ? [begin, end] : undefined;
  }

  /** The width of points, in steps, with which a series has at most `most` of them; a power of two. */
  pointWidth(most: number): number {
    let width = this.width;
    while ((this.used * this.width) / width > most) width *= 2;
    return width;
  }

  /**
   * The points from the one that holds the step `from` on; `width` as {@link pointWidth} gives it; of all metrics or
   * the one that is named.
   */
  points({ from = this.first, width = this.pointWidth(1000), only }: PointsOptions = {}): SeriesPoints {
    const group = width / this.width;
    const low = Math.max(0, Math.floor((from - this.first) / this.width));
    const groups: number[] = [];
    for (let start = low - (low % group); start < this.used; start += group) {
      let count = 0;
      for (let i = start; i < start + group && i < this.used; i++) count += this.#count[i]!;
      if (count > 0) groups.push(start);
    }
    const steps = groups.map((start) => {
      let last = 0;
      for (let i = start; i < start + group && i < this.used; i++) last = Math.max(last, this.#last[i]!);
      return last;
    });
    const metrics: Record<string, MetricPoints> = {};
    for (const [i, column] of this.#columns.entries()) {
      if (column && (only ?? this.names[i]) === this.names[i])
        metrics[this.names[i]!] = metricPoints(column, groups, group);
    }
    return { width, steps, metrics };
  }

  /** How often something happened, by step: the last step and the number of each bucket that has any. */
  counts(): { steps: number[]; counts: number[] } {
    const buckets = Array.from({ length: this.used }, (_, i) => i).filter((i) => this.#count[i]! > 0);
    return { steps: buckets.map((i) => this.#last[i]!), counts: buckets.map((i) => this.#count[i]!) };
  }

  #range(from: number, to: number): [low: number, high: number] {
    const low = Math.max(0, Math.floor((from - this.first) / this.width));
    const high = Math.min(this.used, Math.floor((to - this.first) / this.width) + 1);
    return [Math.min(low, this.used), Math.max(low, high)];
  }

  #merge(): void {
    for (const column of this.#columns) column?.merge();
    for (let to = 0; to < this.capacity; to++) {
      const [a, b] = [2 * to, 2 * to + 1];
      const isUsed = a < this.used;
      const both = b < this.used;
      this.#count[to] = isUsed ? this.#count[a]! + (both ? this.#count[b]! : 0) : 0;
      this.#last[to] = isUsed ? Math.max(this.#last[a]!, both ? this.#last[b]! : 0) : 0;
      this.#begin[to] = isUsed ? Math.min(this.#begin[a]!, both ? this.#begin[b]! : Infinity) : Infinity;
      this.#end[to] = isUsed ? Math.max(this.#end[a]!, both ? this.#end[b]! : 0) : 0;
    }
    this.width *= 2;
    this.used = Math.ceil(this.used / 2);
  }
}

function metricPoints(
  { data, capacity, notFinite, first, last }: Column,
  groups: readonly number[],
  group: number,
): MetricPoints {
  const [means, least, most]: [MetricPoints['mean'], MetricPoints['mean'], MetricPoints['mean']] = [[], [], []];
  let isSingle = true;
  for (const start of groups) {
    let [low, high, total, values] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, 0];
    for (let at = start * numbers; at < Math.min(start + group, capacity) * numbers; at += numbers) {
      if (data[at + count] === 0) continue;
      low = Math.min(low, data[at + min]!);
      high = Math.max(high, data[at + max]!);
      total += data[at + sum]!;
      values += data[at + count]!;
    }
    if (values > 1) isSingle = false;
    means.push(values === 0 ? null : rounded(total / values));
    least.push(values === 0 ? null : rounded(low));
    most.push(values === 0 ? null : rounded(high));
  }
  const points = { mean: means, notFinite, first, last: Number.isFinite(last) ? last : null };
  return isSingle ? points : { ...points, min: least, max: most };
}

/** Seven digits: more than a chart shows, and half the bytes. */
const rounded = (value: number) => Number(value.toPrecision(7));
