/** Quality against KL of several runs: methods beside their trust-region forms, seed by seed. */
import { UsageError, UserError } from '../../errors.js';
import type { NamedFile } from '../answer-sets.js';
import {
  type AdjustedComparison,
  adjusted,
  type CompareOptions,
  compareFronts,
  type FrontComparison,
  type Way,
} from './compare.js';
import { type FrontMetrics, type FrontRun, readFrontRuns } from './read-runs.js';

export interface FrontOptions extends FrontMetrics, Pick<CompareOptions, 'at' | 'level' | 'atLeast'> {
  runs: readonly NamedFile[];
}

export interface Front {
  runs: FrontRun[];
  /**
   * Every form of a method against the method: along training, in best and end, and of ends where there are several.
   */
  comparisons: AdjustedComparison[];
  /** How many differences were tested, which Holm's p counts. */
  tests: number;
}

/**
 * Reads the runs and compares. Errors: those of {@link readFrontRuns}; UserError for two runs of one arm and seed,
 * which name the same thing.
 */
export async function front({ runs: given, kl, quality, ...options }: FrontOptions): Promise<Front> {
  if (given.length === 0) throw new UsageError('name one run at least: a run folder or a file of results');
  const runs = await readFrontRuns(given, { kl, quality });
  requireOneOfEach(runs);
  const arms = pairsOf(runs, 'arm').flatMap(([form, base]) =>
    (['training', 'best', 'end'] as const).map((way) => compare(form, base, 'arm', { ...options, way })),
  );
  const families = pairsOf(runs, 'family')
    .filter((sides) => sides.some((side) => new Set(side.map(({ arm }) => arm)).size > 1))
    .map(([form, base]) => compare(form, base, 'family', { ...options, way: 'ends' }));
  return { runs, ...adjusted([...arms, ...families]) };
}

function requireOneOfEach(runs: readonly FrontRun[]): void {
  const known = new Map<string, FrontRun>();
  for (const run of runs) {
    const key = JSON.stringify([run.arm, run.seed]);
    const other = known.get(key);
    if (other) {
      throw new UserError(
        `${other.name} and ${run.name} are both ${run.arm} of seed ${run.seed}: give one of them, or runs of other seeds`,
      );
    }
    known.set(key, run);
  }
}

/** The forms of methods, each with the method itself, on the same data. */
function pairsOf(runs: readonly FrontRun[], by: 'arm' | 'family'): [form: FrontRun[], base: FrontRun[]][] {
  const groups = [...groupsOf(runs, by).values()];
  return groups.flatMap((form) =>
    groups
      .filter((base) => {
        const [one, other] = [form[0]!, base[0]!];
        return one.method !== one.base && other.method === one.base && other.inputs === one.inputs;
      })
      .map((base): [FrontRun[], FrontRun[]] => [form, base]),
  );
}

/** Runs by their arm, or by their family, in the order of their first ones. */
export function groupsOf(runs: readonly FrontRun[], by: 'arm' | 'family'): Map<string, FrontRun[]> {
  const groups = new Map<string, FrontRun[]>();
  for (const run of runs) groups.set(run[by], [...(groups.get(run[by]) ?? []), run]);
  return groups;
}

function compare(
  form: readonly FrontRun[],
  base: readonly FrontRun[],
  by: 'arm' | 'family',
  options: CompareOptions & { way: Way },
): FrontComparison {
  const courses = (runs: readonly FrontRun[]) =>
    runs.map((run) => ({ arm: run[by], seed: run.seed, points: run.points }));
  return compareFronts(courses(form), courses(base), options);
}
