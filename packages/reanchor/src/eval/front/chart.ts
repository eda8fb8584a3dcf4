/** The picture of a front. */
import { lineChart, type Series } from '../../plots/index.js';
import { mean } from '../../stats/index.js';
import { commonRange, evenly, type Reading, readingAt, trainingCurve } from './curves.js';
import type { FrontMetrics, FrontRun } from './read-runs.js';
import { groupsOf } from './settings.js';

/**
 * The chart, a colour for each method: the course of each run as a thin dashed line, the mean of each arm with several
 * seeds over the KL that all of them reach, and, where a method has several arms, its front through their mean ends,
 * each with its beta.
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
    const ends = arms.flatMap(meanEnd).sort((a, b) => a.kl - b.kl);
    const labels = arms.length > 1 ? ends.map(({ beta }) => (beta === undefined ? '' : `β ${beta}`)) : undefined;
    return [...courses, ...means, { name, points: ends.map(pointOf), color, dots: true, labels }];
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
const pointOf = ({ kl, quality }: Reading): Point => [kl, quality];

/** The mean quality of an arm's runs over the KL that all of them reach; nothing for a single run. */
function meanCourse(runs: readonly FrontRun[]): Point[] {
  const curves = runs.map(({ points }) => trainingCurve(points));
  const { low, high } = commonRange(curves);
  if (runs.length === 1 || !(low < high)) return [];
  const at = (kl: number): Point => [kl, mean(curves.map((curve) => readingAt(curve, kl)!.quality))];
  return [low, ...evenly(low, high, 40)].map(at);
}

/** The mean end of an arm; nothing where a run has none. */
function meanEnd(runs: readonly FrontRun[]): (Reading & { beta: number | undefined })[] {
  if (runs.some(({ hasEnd }) => !hasEnd)) return [];
  const ends = runs.map(({ points }) => points.at(-1)!);
  const [kl, quality] = [mean(ends.map((end) => end.kl)), mean(ends.map((end) => end.quality))];
  return [{ kl, quality, beta: runs[0]!.beta }];
}
