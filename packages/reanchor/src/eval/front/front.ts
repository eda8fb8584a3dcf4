/** Quality against KL of several runs: methods beside their trust-region forms, over beta and over training. */
import { UsageError } from '../../errors.js';
import { lineChart, type Series } from '../../plots/index.js';
import { uniforms } from '../../random.js';
import type { NamedFile } from '../answer-sets.js';
import { type Along, atEqualKl, curvesOf, type EqualKl, type FrontRun } from './curves.js';
import { type FrontMetrics, readFrontRuns } from './read-runs.js';

export interface FrontOptions extends FrontMetrics {
  runs: readonly NamedFile[];
  /** Where to compare, nats; default: five places of the range that both sides reach. */
  at?: readonly number[] | undefined;
  level?: number | undefined;
  resamples?: number | undefined;
  seed?: number | undefined;
}

export interface Front {
  runs: FrontRun[];
  /** Every form of a method against the method, along training, and along beta where both have several. */
  comparisons: EqualKl[];
}

/** Reads the runs and compares. Errors: those of {@link readFrontRuns}. */
export async function front({
  runs: given,
  kl,
  quality,
  at,
  level,
  resamples,
  seed = 0,
}: FrontOptions): Promise<Front> {
  if (given.length === 0) throw new UsageError('name one run at least: a run folder or a file of results');
  const runs = await readFrontRuns(given, { kl, quality });
  const methods = byMethod(runs);
  const comparisons = [...methods.values()].flatMap((form) => {
    const { method, base: name } = form[0]!;
    const base = methods.get(name);
    if (method === name || !base) return [];
    const betas = (some: readonly FrontRun[]) => new Set(some.map(({ beta }) => beta)).size;
    const ways: Along[] = betas(form) > 1 && betas(base) > 1 ? ['training', 'beta'] : ['training'];
    return ways.map((along) => atEqualKl(form, base, along, { random: uniforms(seed, 9), at, level, resamples }));
  });
  return { runs, comparisons };
}

/** The chart: each run's course as a thin line, and each method's front over beta through the last points. */
export function frontChart(runs: readonly FrontRun[], { kl, quality }: FrontMetrics): string {
  const methods = [...byMethod(runs)];
  const series = methods.flatMap(([method, some], color): Series[] => {
    const ends = curvesOf(some, 'beta')[0]!;
    const courses = some.map(
      ({ points }, i): Series => ({
        name: ends.length === 1 && i === 0 ? method : undefined,
        points: points.map((point) => [point.kl, point.quality]),
        color,
        dots: ends.length === 1,
        width: ends.length === 1 ? 2 : 1,
        dashed: ends.length > 1,
      }),
    );
    return ends.length === 1 ? courses : [...courses, { name: method, points: ends, color, dots: true }];
  });
  return lineChart({
    title: `${quality} against ${kl}`,
    description: `${quality} against ${kl} (nats) of ${runs.length} runs; dashed: the course of a run, solid: the ends over beta`,
    xLabel: `${kl} (nats)`,
    yLabel: quality,
    series,
  });
}

function byMethod(runs: readonly FrontRun[]): Map<string, FrontRun[]> {
  const methods = new Map<string, FrontRun[]>();
  for (const run of runs) methods.set(run.method, [...(methods.get(run.method) ?? []), run]);
  return methods;
}
