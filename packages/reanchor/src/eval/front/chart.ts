/** The picture of a front. */
import { lineChart, type Series } from '../../plots/index.js';
import { mean } from '../../stats/index.js';
import { type Curve, commonRange, evenly, readingAt, trainingCurve } from './curves.js';
import { groupsOf } from './front.js';
import type { FrontMetrics, FrontRun } from './read-runs.js';

/**
 * The chart, a colour for each method: the course of each run as a thin dashed line, the mean of each arm with several
 * seeds over the KL that all of them reach, and, where a method has several arms, its front through their mean ends.
 */
export function frontChart(runs: readonly FrontRun[], { kl, quality }: FrontMetrics): string {
  const series = [...groupsOf(runs, 'family')].flatMap(([name, some], color): Series[] => {
    const arms = [...groupsOf(some, 'arm').values()];
    if (some.length === 1) return [{ name, points: some[0]!.points.map(pointOf), color, dots: true }];
    const courses = some.map(
      ({ points }): Series => ({ name: undefined, points: points.map(pointOf), color, width: 1, dashed: true }),
    );
    const means = arms.flatMap((arm): Series[] => {
      const points = meanCourse(arm);
      return points.length === 0 ? [] : [{ name: undefined, points, color }];
    });
    const ends = arms.map(meanEnd).sort(([a], [b]) => a - b);
    return [...courses, ...means, { name, points: ends, color, dots: true }];
  });
  return lineChart({
    title: `${quality} against ${kl}`,
    description: `${quality} against ${kl} (nats) of ${runs.length} runs; dashed: the course of a run, solid: the mean over seeds, and the ends over beta`,
    xLabel: `${kl} (nats)`,
    yLabel: quality,
    series,
  });
}

type Point = [kl: number, quality: number];
const pointOf = ({ kl, quality }: Curve[number]): Point => [kl, quality];

/** The mean quality of an arm's runs over the KL that all of them reach; nothing for a single run. */
function meanCourse(runs: readonly FrontRun[]): Point[] {
  const curves = runs.map(({ points }) => trainingCurve(points));
  const { low, high } = commonRange(curves);
  if (runs.length === 1 || !(low < high)) return [];
  const at = (kl: number): Point => [kl, mean(curves.map((curve) => readingAt(curve, kl)!.quality))];
  return [low, ...evenly(low, high, 40)].map(at);
}

function meanEnd(runs: readonly FrontRun[]): Point {
  const ends = runs.map(({ points }) => points.at(-1)!);
  return [mean(ends.map(({ kl }) => kl)), mean(ends.map(({ quality }) => quality))];
}
