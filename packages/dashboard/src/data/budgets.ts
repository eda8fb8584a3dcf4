/** What is the best that a method comes to within a budget of KL. */
import type { FamilyCurves } from 'reanchor/serve';

export interface Best {
  /** The setting, and where it is this good. */
  arm: string;
  kl: number;
  quality: number;
  /** Of the mean over seeds; undefined for a single run. */
  interval: { low: number; high: number } | undefined;
}

/**
 * The best point of a method up to a KL: of the means over seeds of its settings, each as far as all of its seeds
 * reach, or of the measurements of a setting's only run after step 0. Undefined where none is within the budget.
 */
export function bestWithin({ courses, means }: FamilyCurves, budget: number): Best | undefined {
  const single = courses.filter(({ arm }) => courses.filter((other) => other.arm === arm).length === 1);
  const points: Best[] = [
    ...means.flatMap(({ arm, points }) => points.map((point) => ({ arm, ...point }))),
    ...single.flatMap(({ arm, points }) =>
      points.flatMap(({ step, kl, quality }) => (step > 0 ? [{ arm, kl, quality, interval: undefined }] : [])),
    ),
  ].filter(({ kl }) => kl <= budget);
  return points.reduce<Best | undefined>((best, one) => (best && best.quality >= one.quality ? best : one), undefined);
}

/** Five budgets, round and equally far apart, up to what some method reaches; none where nothing is measured. */
export function budgetsOf(curves: readonly FamilyCurves[]): number[] {
  const reached = curves.flatMap(({ courses, means }) =>
    (means.length > 0 ? means : courses).flatMap(({ points }) => points.map(({ kl }) => kl)),
  );
  const most = reached.reduce((a, b) => Math.max(a, b), 0);
  if (!(most > 0)) return [];
  return [1, 2, 3, 4, 5].map((part) => Number(((part * most) / 5).toPrecision(2)));
}
