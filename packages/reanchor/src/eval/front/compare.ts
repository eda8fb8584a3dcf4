/** Two arms of a study at equal KL, seed by seed. */
import { groupBy, holm, type Interval, mean, studentMean, welchDifference } from '../../stats/index.js';
import {
  type Curve,
  commonRange,
  endsCurve,
  evenly,
  type FrontPoint,
  type Range,
  type Reading,
  readingAt,
  trainingCurve,
} from './curves.js';

/** A run's evaluations in the order of steps. */
export interface Course {
  /**
   * What was done, such as `dpo beta 0.1`: runs of one arm differ in their seeds alone, or in what a front goes over.
   */
  arm: string;
  /** What the run began with; runs of several arms that share it are compared with each other. */
  seed: string;
  points: readonly FrontPoint[];
  /** False where what the run came to at its end is not known: then it has no place among ends. Default: true. */
  hasEnd?: boolean | undefined;
}

/**
 * What is compared: `training`, the course of a run at equal KL; `ends`, the last evaluations of an arm's runs, such as
 * those over beta, at equal KL; `best`, each run's best evaluation, and `end`, its last one, at whatever KL they have.
 */
export type Way = 'training' | 'ends' | 'best' | 'end';

/** Where and how {@link compareFronts} compares two arms. */
export interface CompareOptions {
  way: Way;
  /**
   * Where to compare, nats; default: five places, equally far apart, of the range that all counted seeds have, or most
   * of them, where all have none. With `ends` of which one arm has one run a seed: at the KL of that run, seed by seed.
   */
  at?: readonly number[] | undefined;
  /** The coverage of each interval; default 0.95. */
  level?: number | undefined;
  /** The seeds that have to reach a KL in both arms; default: all that the arms share. */
  atLeast?: number | undefined;
}

interface FrontRow {
  /** The KL of both, nats; undefined where each run has its own. */
  kl: number | undefined;
  /** Undefined, as the difference is, where too few seeds reach this KL. */
  a: Reading | undefined;
  b: Reading | undefined;
  /** The mean quality of a minus that of b. */
  difference: number | undefined;
  /** Student's interval over seeds, and p of no difference; undefined below two seeds. */
  interval: Interval | undefined;
  p: number | undefined;
  /** The seeds that reach this KL in both arms, in a, and in b. */
  seeds: { both: number; ofA: number; ofB: number };
}

/** Two arms at equal KL, at one place or several. */
export interface FrontComparison {
  a: string;
  b: string;
  way: Way;
  /** Whether each seed of a is compared with the same seed of b; else they share none, and the means are compared. */
  isPaired: boolean;
  /** The seeds that both arms have, that a has, and that b has. */
  seeds: { both: number; ofA: number; ofB: number };
  rows: FrontRow[];
}

/** A comparison whose rows also have the p of Holm, adjusted for all that was tested with it. */
export interface AdjustedComparison extends Omit<FrontComparison, 'rows'> {
  rows: (FrontRow & { holm: number | undefined })[];
}

/**
 * Arm a against arm b. Quality at a KL is linear in sqrt(KL) between the evaluations around it, the first one after
 * step 0 being the least; nothing is extrapolated. The difference is the mean over seeds that both arms share, each the
 * difference of the two runs of that seed, with Student's interval (`studentMean`); of arms that share no seed it is
 * that of the means, with Welch's. Seeds that reach a KL are other seeds than those that do not, so where one of the
 * seeds does not, in either arm, the row has no difference, unless `atLeast` allows fewer. Errors: RangeError for an
 * arm without runs, and for two runs of one seed, which `ends` alone takes.
 */
export function compareFronts(a: readonly Course[], b: readonly Course[], options: CompareOptions): FrontComparison {
  if (a.length === 0 || b.length === 0) throw new RangeError('an arm without runs has no front');
  const sides: Sides = { a: curvesBySeed(a, options.way), b: curvesBySeed(b, options.way) };
  const shared = [...sides.a.keys()].filter((seed) => sides.b.has(seed));
  return {
    a: a[0]!.arm,
    b: b[0]!.arm,
    way: options.way,
    isPaired: shared.length > 0,
    seeds: { both: shared.length, ofA: sides.a.size, ofB: sides.b.size },
    rows: placesOf(sides, shared, options).map((place) => rowAt(place, sides, shared, options)),
  };
}

interface Sides {
  a: ReadonlyMap<string, Curve>;
  b: ReadonlyMap<string, Curve>;
}

/** An arm's curve of each seed: of a run, or of the ends of several; of `best` and `end` a single point. */
function curvesBySeed(courses: readonly Course[], way: Way): Map<string, Curve> {
  return new Map(
    [...groupBy(courses, ({ seed }) => seed)].map(([seed, own]) => {
      const ended = own.filter(({ hasEnd = true }) => hasEnd);
      if (way === 'ends') return [seed, endsCurve(ended.map(({ points }) => points.at(-1)!))];
      if (own.length > 1) throw new RangeError(`${own[0]!.arm} has ${own.length} runs of seed ${seed}; one is allowed`);
      const { points } = own[0]!;
      if (way === 'training') return [seed, trainingCurve(points)];
      if (way === 'end') return [seed, ended.map(() => points.at(-1)!)];
      return [seed, [bestPoint(points)]];
    }),
  );
}

/** The evaluation of the highest quality, of equal ones the first. */
export const bestPoint = (points: readonly FrontPoint[]): FrontPoint =>
  points.reduce((best, point) => (point.quality > best.quality ? point : best));

/** Where runs are read. */
interface Place {
  /** Undefined where each seed has its own. */
  kl: number | undefined;
  /** What an arm's curve of a seed has there; undefined where it does not reach the place. */
  read: (arm: 'a' | 'b', seed: string) => Reading | undefined;
}

function placesOf(sides: Sides, shared: readonly string[], { way, at, atLeast }: CompareOptions): Place[] {
  const curve = (arm: 'a' | 'b', seed: string) => sides[arm].get(seed) ?? [];
  if (way === 'best' || way === 'end') return [{ kl: undefined, read: (arm, seed) => curve(arm, seed)[0] }];
  const placeAt = (kl: number): Place => ({ kl, read: (arm, seed) => readingAt(curve(arm, seed), kl) });
  if (at) return at.map(placeAt);
  if (shared.length === 0) return placesIn([commonRange([...sides.a.values(), ...sides.b.values()])], 1).map(placeAt);
  const isSingle = (arm: 'a' | 'b') => [...sides[arm].values()].every(({ length }) => length <= 1);
  if (way === 'ends' && isSingle('a') !== isSingle('b')) {
    const endOf = (seed: string) => curve(isSingle('a') ? 'a' : 'b', seed)[0];
    return [{ kl: undefined, read: (arm, seed) => readingAt(curve(arm, seed), endOf(seed)?.kl ?? Number.NaN) }];
  }
  const ranges = shared.map((seed) => commonRange([curve('a', seed), curve('b', seed)]));
  return placesIn(ranges, atLeast ?? shared.length).map(placeAt);
}

/**
 * Five places, from the first to the last that `needed` of the ranges have, or, where none is, as many as share one.
 */
function placesIn(ranges: readonly Range[], needed: number): number[] {
  const covering = (kl: number) => ranges.filter(({ low, high }) => low <= kl && kl <= high).length;
  const edges = ranges.filter(({ low, high }) => low < high).flatMap(({ low, high }) => [low, high]);
  for (let seeds = needed; seeds > 0; seeds--) {
    const reached = edges.filter((kl) => covering(kl) >= seeds);
    const [low, high] = [Math.min(...reached), Math.max(...reached)];
    if (low < high) return evenly(low, high, 5);
  }
  return [];
}

function rowAt(
  { kl, read }: Place,
  { a, b }: Sides,
  shared: readonly string[],
  { level = 0.95, atLeast }: CompareOptions,
): FrontRow {
  const isPaired = shared.length > 0;
  const reached = (arm: 'a' | 'b', seeds: Iterable<string>) => [...seeds].filter((seed) => read(arm, seed));
  const [ofA, ofB] = [reached('a', a.keys()), reached('b', b.keys())];
  const both = reached('a', reached('b', shared));
  const seeds = { both: both.length, ofA: ofA.length, ofB: ofB.length };
  const isEnough = isPaired
    ? both.length >= (atLeast ?? shared.length)
    : ofA.length >= (atLeast ?? a.size) && ofB.length >= (atLeast ?? b.size);
  if (!isEnough)
    return { kl, a: undefined, b: undefined, difference: undefined, interval: undefined, p: undefined, seeds };
  const ours = (isPaired ? both : ofA).map((seed) => read('a', seed)!);
  const theirs = (isPaired ? both : ofB).map((seed) => read('b', seed)!);
  const [x, y] = [ours, theirs].map((readings) => readings.map(({ quality }) => quality)) as [number[], number[]];
  const { estimate, interval, p } = isPaired
    ? studentMean(
        x.map((quality, i) => quality - y[i]!),
        level,
      )
    : welchDifference(x, y, level);
  return { kl, a: meanOf(ours), b: meanOf(theirs), difference: estimate, interval, p, seeds };
}

const meanOf = (readings: readonly Reading[]): Reading => ({
  kl: mean(readings.map(({ kl }) => kl)),
  quality: mean(readings.map(({ quality }) => quality)),
});

/** Comparisons that are read together, with Holm's p; `tests` counts the differences that have a p. */
export function adjusted(comparisons: readonly FrontComparison[]): {
  comparisons: AdjustedComparison[];
  tests: number;
} {
  const rows = comparisons.flatMap((comparison) => comparison.rows).filter(({ p }) => p !== undefined);
  const ps = holm(rows.map(({ p }) => p!));
  const pOf = new Map(rows.map((row, i) => [row, ps[i]]));
  const adjustedRow = (row: FrontRow) => ({ ...row, holm: pOf.get(row) });
  return { comparisons: comparisons.map((one) => ({ ...one, rows: one.rows.map(adjustedRow) })), tests: rows.length };
}
