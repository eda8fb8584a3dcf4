/** The front of quality against KL, of methods over several runs: curves, and their differences at equal KL. */
import { type Interval, mean, percentileInterval, type Random } from '../../stats/index.js';

/** An evaluation of a run. */
export interface FrontPoint {
  step: number;
  /** Nats. */
  kl: number;
  quality: number;
}

/** A run's evaluations, in the order of steps. */
export interface FrontRun {
  name: string;
  /** What runs are gathered by, such as `dpo` or `tr-dpo hard tau 32`. */
  method: string;
  /** The method that this one is a form of; its own name for a method itself. */
  base: string;
  beta: number | undefined;
  points: FrontPoint[];
}

/** What a front is followed along: the course of each run, or the ends of runs of different beta. */
export type Along = 'training' | 'beta';

export type CurvePoint = readonly [kl: number, quality: number];

/** Points in the order of KL; those of equal KL are one, their mean. */
export function curve(points: readonly Pick<FrontPoint, 'kl' | 'quality'>[]): CurvePoint[] {
  const byKl = new Map<number, number[]>();
  for (const { kl, quality } of points) byKl.set(kl, [...(byKl.get(kl) ?? []), quality]);
  return [...byKl].map(([kl, qualities]): CurvePoint => [kl, mean(qualities)]).sort(([a], [b]) => a - b);
}

/** The quality at a KL, linear between the points around it; undefined outside them. */
export function at(points: readonly CurvePoint[], kl: number): number | undefined {
  const next = points.findIndex(([x]) => x >= kl);
  if (next === -1) return undefined;
  const [x1, y1] = points[next]!;
  if (x1 === kl) return y1;
  if (next === 0) return undefined;
  const [x0, y0] = points[next - 1]!;
  return y0 + ((kl - x0) / (x1 - x0)) * (y1 - y0);
}

/** The curves of a method's runs: one a run along training; one through the last points of all along beta. */
export function curvesOf(runs: readonly FrontRun[], along: Along): CurvePoint[][] {
  if (along === 'training') return runs.map(({ points }) => curve(points));
  return [curve(runs.map(({ points }) => points.at(-1)!))];
}

/** The mean quality at a KL of the curves that reach it; undefined where none does. */
function qualityAt(curves: readonly (readonly CurvePoint[])[], kl: number): number | undefined {
  const values = curves.flatMap((points) => at(points, kl) ?? []);
  return values.length === 0 ? undefined : mean(values);
}

interface EqualKlRow {
  kl: number;
  base: number;
  method: number;
  difference: number;
  /** Of the difference, by drawing runs; undefined where either side has one run, or few draws reach this KL. */
  interval: Interval | undefined;
}

export interface EqualKl {
  method: string;
  base: string;
  along: Along;
  runs: { method: number; base: number };
  rows: EqualKlRow[];
}

export interface EqualKlOptions {
  random: Random;
  /** Where to compare; default: `count` places equally spaced in the range that both have. */
  at?: readonly number[] | undefined;
  count?: number | undefined;
  level?: number | undefined;
  resamples?: number | undefined;
}

/**
 * A method against the one it is a form of, at equal KL: their interpolated qualities and the difference, method -
 * base, with the percentile interval of a bootstrap that draws the runs of each side with replacement. Places that one
 * of the two does not reach are left out; so are intervals of which fewer than 9 in 10 draws reach the place.
 */
export function atEqualKl(
  method: readonly FrontRun[],
  base: readonly FrontRun[],
  along: Along,
  { random, at: given, count = 5, level = 0.95, resamples = 2000 }: EqualKlOptions,
): EqualKl {
  const [ours, theirs] = [curvesOf(method, along), curvesOf(base, along)];
  const places = given ?? commonPlaces(ours, theirs, count);
  const draws = Math.min(method.length, base.length) < 2 ? 0 : resamples;
  const drawn = Array.from({ length: draws }, () => [draw(method, random), draw(base, random)] as const).map(
    ([m, b]) => [curvesOf(m, along), curvesOf(b, along)] as const,
  );
  const rows = places.flatMap((kl): EqualKlRow[] => {
    const [ourQuality, theirQuality] = [qualityAt(ours, kl), qualityAt(theirs, kl)];
    if (ourQuality === undefined || theirQuality === undefined) return [];
    const differences = drawn.flatMap(([m, b]) => {
      const [mine, other] = [qualityAt(m, kl), qualityAt(b, kl)];
      return mine === undefined || other === undefined ? [] : [mine - other];
    });
    const isCovered = draws > 0 && differences.length >= 0.9 * draws;
    const interval = isCovered ? percentileInterval(differences, level) : undefined;
    return [{ kl, base: theirQuality, method: ourQuality, difference: ourQuality - theirQuality, interval }];
  });
  const runs = { method: method.length, base: base.length };
  return { method: method[0]!.method, base: base[0]!.method, along, runs, rows };
}

/** Places inside the range of KL that both sides reach. */
function commonPlaces(a: readonly CurvePoint[][], b: readonly CurvePoint[][], count: number): number[] {
  const range = (curves: readonly CurvePoint[][]) => {
    const all = curves.flat().map(([kl]) => kl);
    return [Math.min(...all), Math.max(...all)] as const;
  };
  const [[lowA, highA], [lowB, highB]] = [range(a), range(b)];
  const [low, high] = [Math.max(lowA, lowB), Math.min(highA, highB)];
  if (!(low < high)) return [];
  return Array.from({ length: count }, (_, i) => low + ((i + 1) / count) * (high - low));
}

const draw = (runs: readonly FrontRun[], random: Random) => runs.map(() => runs[Math.floor(random() * runs.length)]!);
