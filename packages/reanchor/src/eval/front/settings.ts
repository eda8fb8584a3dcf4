/** What each setting came to, over its seeds. */
import { groupBy, mean, standardError } from '../../stats/index.js';
import { bestPoint } from './compare.js';
import { commonRange, type FrontPoint, trainingCurve } from './curves.js';
import type { FrontRun } from './read-runs.js';

/** A mean over seeds and its standard error, which needs two. */
export interface SeedMean {
  mean: number;
  error: number | undefined;
}

export interface SettingSummary {
  method: string;
  arm: string;
  beta: number | undefined;
  seeds: string[];
  /** Of the last evaluations; undefined where a run has none that is a number. */
  end: { kl: SeedMean; quality: SeedMean } | undefined;
  /** Of the best evaluation of each run. */
  best: { kl: SeedMean; quality: SeedMean };
  /** The largest KL that all seeds reach, nats; undefined where one was not measured after step 0. */
  reached: number | undefined;
}

/** The arms of runs, in the order of their first ones. */
export function summarise(runs: readonly FrontRun[]): SettingSummary[] {
  return [...groupsOf(runs, 'arm').values()].map((own) => {
    const { method, arm, beta } = own[0]!;
    const { high } = commonRange(own.map(({ points }) => trainingCurve(points)));
    return {
      ...{ method, arm, beta, seeds: own.map(({ seed }) => seed) },
      end: own.every(({ hasEnd }) => hasEnd) ? over(own.map(({ points }) => points.at(-1)!)) : undefined,
      best: over(own.map(({ points }) => bestPoint(points))),
      reached: Number.isFinite(high) ? high : undefined,
    };
  });
}

function over(points: readonly FrontPoint[]) {
  const of = (values: readonly number[]): SeedMean => {
    return { mean: mean(values), error: values.length > 1 ? standardError(values) : undefined };
  };
  return { kl: of(points.map(({ kl }) => kl)), quality: of(points.map(({ quality }) => quality)) };
}

/** Runs by their method, arm or family, in the order of their first ones. */
export function groupsOf(runs: readonly FrontRun[], by: 'method' | 'arm' | 'family'): Map<string, FrontRun[]> {
  return groupBy(runs, (run) => run[by]);
}
