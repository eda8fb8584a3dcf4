/** Quality as a function of KL. */
import { groupBy, mean } from '../../stats/index.js';

/** An evaluation of a run. */
export interface FrontPoint {
  step: number;
  /** Nats. */
  kl: number;
  quality: number;
}

/** A quality and the KL at which it is had. */
export interface Reading {
  kl: number;
  quality: number;
}

/** A curve of quality over KL; the points rise in KL. */
export type Curve = readonly Reading[];

/**
 * A run's quality over KL, when it first had that KL: the evaluations after step 0 whose KL is larger than all before.
 * A KL that was estimated to be below 0 is 0.
 */
export function trainingCurve(points: readonly FrontPoint[]): Curve {
  let highest = -1;
  return points
    .filter(({ step }) => step > 0)
    .flatMap(({ kl, quality }) => {
      const reached = Math.max(0, kl);
      if (reached <= highest) return [];
      highest = reached;
      return [{ kl: reached, quality }];
    });
}

/** Points in the order of KL, which is 0 where it was estimated to be below; those of equal KL are one, their mean. */
export function endsCurve(points: readonly Reading[]): Curve {
  const byKl = groupBy(points, ({ kl }) => Math.max(0, kl));
  return [...byKl]
    .map(([kl, all]) => ({ kl, quality: mean(all.map(({ quality }) => quality)) }))
    .sort((one, other) => one.kl - other.kl);
}

/** A curve at a KL, linear in sqrt(KL) between the points around it; undefined outside them. */
export function readingAt(curve: Curve, kl: number): Reading | undefined {
  const next = curve.findIndex((point) => point.kl >= kl);
  if (next === -1) return undefined;
  const above = curve[next]!;
  if (above.kl === kl) return above;
  const below = curve[next - 1];
  if (!below) return undefined;
  const share = (Math.sqrt(kl) - Math.sqrt(below.kl)) / (Math.sqrt(above.kl) - Math.sqrt(below.kl));
  return { kl, quality: below.quality + share * (above.quality - below.quality) };
}

export interface Range {
  low: number;
  high: number;
}

/** The range that all curves have; empty, with low above high, where there is none. */
export function commonRange(curves: readonly Curve[]): Range {
  const low = Math.max(...curves.map((curve) => curve[0]?.kl ?? Number.POSITIVE_INFINITY));
  return { low, high: Math.min(...curves.map((curve) => curve.at(-1)?.kl ?? Number.NEGATIVE_INFINITY)) };
}

/** `count` numbers above `low` that are equally far apart; the last is `high` itself. */
export const evenly = (low: number, high: number, count: number): number[] =>
  Array.from({ length: count }, (_, i) => (i === count - 1 ? high : low + ((i + 1) / count) * (high - low)));
