/** What a picture of quality against KL is made of. */
import type { FamilyCurves, RunState } from 'reanchor/serve';
import { paletteSize } from './lines.js';

interface Interval {
  low: number;
  high: number;
}

/** A point of no step is of several runs. */
export interface FrontPoint {
  step?: number | undefined;
  kl: number;
  quality: number;
  /** Of the quality, and of the KL. */
  interval?: Interval | undefined;
  klInterval?: Interval | undefined;
  /** What stands beside it, in place of its step. */
  label?: string | undefined;
}

export interface FrontLine {
  name: string;
  color: number;
  points: readonly FrontPoint[];
  /** What is drawn beside the lines of the legend: thin, the course of a run, or the mean of several. */
  kind?: 'course' | 'mean';
}

export const klName = 'kl/initial';

/** The metrics of evaluations that say how good a policy is, where KL is measured with them. */
export function qualityMetrics(runs: readonly RunState[]): string[] {
  const names = runs.flatMap(({ evaluations }) =>
    klName in evaluations.metrics ? Object.keys(evaluations.metrics) : [],
  );
  const isQuality = (name: string) => /gold|win|judge|accurac|margins|reward$/.test(name);
  const rank = (name: string) => (/gold|win|judge/.test(name) ? 0 : 1);
  return [...new Set(names)].filter(isQuality).sort((a, b) => rank(a) - rank(b));
}

/** The courses of runs. */
export function frontsOf(
  runs: readonly { state: RunState; name: string; color: number }[],
  quality: string,
): FrontLine[] {
  return runs.map(({ state: { evaluations }, name, color }) => {
    const [kl, good] = [evaluations.metrics[klName]?.mean ?? [], evaluations.metrics[quality]?.mean ?? []];
    const points = evaluations.steps.flatMap((step, i) => {
      const [x, y] = [kl[i], good[i]];
      return typeof x === 'number' && typeof y === 'number' ? [{ step, kl: x, quality: y }] : [];
    });
    return { name, color, points };
  });
}

/** The lines of a method of a study: its ends, or its only run, are in the legend. */
export function familyLines({ name, courses, means, ends }: FamilyCurves, index: number): FrontLine[] {
  const color = index % paletteSize;
  if (courses.length === 1) return [{ name, color, points: courses[0]!.points }];
  return [
    ...courses.map(({ name: run, points }): FrontLine => ({ name: run, color, kind: 'course', points })),
    ...means.map(({ arm, points }): FrontLine => ({ name: arm, color, kind: 'mean', points })),
    {
      name,
      color,
      points: ends.map((end) => ({ ...end, label: ends.length > 1 && end.beta !== undefined ? `β ${end.beta}` : '' })),
    },
  ];
}

export interface Box {
  left: number;
  right: number;
  top: number;
  bottom: number;
}

interface Wanted {
  text: string;
  color: number;
  x: number;
  y: number;
  /** The ends of a line are labelled before what is between. */
  isEnd: boolean;
}

/** Of the labels that are wanted beside points those for which there is room, to the right of the point or the left. */
export function placeLabels(wanted: readonly Wanted[], within: Box) {
  const taken: Box[] = wanted.map(({ x, y }) => ({ left: x - 4, right: x + 4, top: y - 4, bottom: y + 4 }));
  const isFree = (box: Box) =>
    box.left >= within.left &&
    box.right <= within.right &&
    box.top >= within.top &&
    box.bottom <= within.bottom &&
    taken.every(
      (other) => box.right < other.left || box.left > other.right || box.bottom < other.top || box.top > other.bottom,
    );
  return [...wanted.filter(({ isEnd }) => isEnd), ...wanted.filter(({ isEnd }) => !isEnd)].flatMap((label) => {
    const width = 7 * label.text.length;
    for (const [dx, dy] of [
      [8, -9],
      [-8 - width, -9],
      [8, 9],
      [-8 - width, 9],
    ] as const) {
      const [left, middle] = [label.x + dx, label.y + dy];
      const box = { left, right: left + width, top: middle - 6, bottom: middle + 6 };
      if (!isFree(box)) continue;
      taken.push(box);
      return [{ ...label, left, middle }];
    }
    return [];
  });
}
