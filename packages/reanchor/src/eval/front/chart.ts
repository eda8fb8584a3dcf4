/** The picture of a front. */
import { lineChart, type Series } from '../../plots/index.js';
import { type Interval, studentMean } from '../../stats/index.js';
import { commonRange, evenly, type Reading, readingAt, trainingCurve } from './curves.js';
import type { FrontMetrics, FrontRun } from './read-runs.js';
import { groupsOf } from './settings.js';

/** What is drawn of a method. */
export interface FamilyCurves {
  name: string;
  /** The course of each run. `folder` is that of a run of a study, below the study's. */
  courses: Pick<FrontRun, 'name' | 'arm' | 'seed' | 'folder' | 'hasEnd' | 'points'>[];
  /** The mean of each arm with several seeds, over the KL that all of them reach. */
  means: { arm: string; points: readonly MeanReading[] }[];
  /** The mean ends of the arms, by their KL. */
  ends: (MeanReading & { arm: string; beta: number | undefined; klInterval: Interval | undefined })[];
}

/** A mean over seeds, with Student's 95 % interval of the quality, which needs two seeds. */
interface MeanReading extends Reading {
  interval: Interval | undefined;
}

/** The curves of each method: courses of runs, means over seeds, ends over beta. */
export function familyCurves(runs: readonly FrontRun[]): FamilyCurves[] {
  return [...groupsOf(runs, 'family')].map(([name, some]) => {
    const arms = [...groupsOf(some, 'arm')];
    return {
      name,
      courses: some.map(({ name, arm, seed, folder, hasEnd, points }) => ({ name, arm, seed, folder, hasEnd, points })),
      means: arms.flatMap(([arm, own]) => {
        const points = meanCourse(own);
        return points.length === 0 ? [] : [{ arm, points }];
      }),
      ends: arms.flatMap(([, own]) => meanEnd(own)).sort((a, b) => a.kl - b.kl),
    };
  });
}

/** Of more runs the courses are left out: they would hide their means. */
const mostCourses = 40;

/**
 * The chart, a colour for each method: the course of each run as a thin dashed line (of 40 runs at most), the mean of
 * each arm with several seeds over the KL that all of them reach, and, where a method has several arms, its front
 * through their mean ends, each with its beta.
 */
export function frontChart(runs: readonly FrontRun[], { kl, quality }: FrontMetrics): string {
  const isCrowded = runs.length > mostCourses;
  const series = familyCurves(runs).flatMap(({ name, courses, means, ends }, color): Series[] => {
    if (courses.length === 1) return [{ name, points: courses[0]!.points.map(pointOf), color, dots: true }];
    const labels = ends.length > 1 ? ends.map(({ beta }) => (beta === undefined ? '' : `β ${beta}`)) : undefined;
    return [
      ...(isCrowded ? [] : courses).map(
        ({ points }): Series => ({ name: undefined, points: points.map(pointOf), color, width: 1, dashed: true }),
      ),
      ...means.map(({ points }): Series => ({ name: undefined, points: points.map(pointOf), color })),
      { name, points: ends.map(pointOf), color, dots: true, labels },
    ];
  });
  return lineChart({
    title: `${quality} against ${kl}`,
    description:
      `${quality} against ${kl} (nats) of ${runs.length} runs; ` +
      `${isCrowded ? '' : 'dashed: the course of a run, '}solid: the mean over seeds, and the ends over beta`,
    xLabel: `${kl} (nats)`,
    yLabel: quality,
    series,
  });
}

type Point = [kl: number, quality: number];
const pointOf = ({ kl, quality }: Reading): Point => [kl, quality];

/** The mean quality of an arm's runs over the KL that all of them reach; nothing for a single run. */
function meanCourse(runs: readonly FrontRun[]): MeanReading[] {
  const curves = runs.map(({ points }) => trainingCurve(points));
  const { low, high } = commonRange(curves);
  if (runs.length === 1 || !(low < high)) return [];
  const at = (kl: number): MeanReading => {
    const { estimate, interval } = studentMean(curves.map((curve) => readingAt(curve, kl)!.quality));
    return { kl, quality: estimate, interval };
  };
  return [low, ...evenly(low, high, 40)].map(at);
}

/** The mean end of an arm; nothing where a run has none. */
function meanEnd(runs: readonly FrontRun[]): FamilyCurves['ends'] {
  if (runs.some(({ hasEnd }) => !hasEnd)) return [];
  const ends = runs.map(({ points }) => points.at(-1)!);
  const [kl, quality] = [studentMean(ends.map((end) => end.kl)), studentMean(ends.map((end) => end.quality))];
  return [
    {
      ...{ kl: kl.estimate, klInterval: kl.interval, quality: quality.estimate, interval: quality.interval },
      ...{ arm: runs[0]!.arm, beta: runs[0]!.beta },
    },
  ];
}
