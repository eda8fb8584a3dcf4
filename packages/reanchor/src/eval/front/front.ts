/** Quality against KL of several runs: methods beside their trust-region forms, arms of a study beside one of them. */
import { UsageError, UserError } from '../../errors.js';
import { nearest } from '../../recipe/index.js';
import type { NamedFile } from '../answer-sets.js';
import { type Choice, type ChoiceOptions, chooseSettings, splitSeeds } from './choice.js';
import {
  type AdjustedComparison,
  adjusted,
  type CompareOptions,
  compareFronts,
  type FrontComparison,
  type Way,
} from './compare.js';
import type { MeasuredRun } from './measured-run.js';
import { type FrontMetrics, type FrontRun, frontRuns, readRuns } from './read-runs.js';
import { groupsOf, type SettingSummary, summarise } from './settings.js';

type Comparing = Pick<CompareOptions, 'at' | 'level' | 'atLeast'>;

interface AnalysisOptions extends FrontMetrics, Comparing {
  /** What all others are compared with; default: the method of each form, and the first arm of a study. */
  base?: string | undefined;
  /** Compares the best setting of each arm alone; default: compares all settings, on all seeds. */
  choose?: ChoiceOptions | undefined;
}

/** The runs of a {@link front}, and how they are read. */
export interface FrontOptions extends AnalysisOptions {
  runs: readonly NamedFile[];
}

/** What runs came to in quality and KL, and how their arms compare. */
export interface Front {
  /** Those that are compared: with a choice, the test seeds alone. */
  runs: FrontRun[];
  /** What the arms of `runs` came to, over their seeds. */
  arms: SettingSummary[];
  /** What was chosen; undefined where nothing was asked for. */
  choice: Choice | undefined;
  /**
   * Every form of a method against the method: along training, in best and end, and of ends where there are several.
   */
  comparisons: AdjustedComparison[];
  /** How many differences were tested, which Holm's p counts. */
  tests: number;
}

/** Reads the runs and compares. Errors: those of {@link readRuns} and {@link analyse}. */
export async function front({ runs, ...options }: FrontOptions): Promise<Front> {
  return analyse(await readRuns(runs), options);
}

/**
 * Compares runs, and chooses settings before. The runs of tuning seeds are used for the choice alone, and those of test
 * seeds for the comparisons alone; `ends` goes over all test runs that differ from the chosen setting in beta. Errors:
 * those of {@link frontRuns}, {@link splitSeeds} and {@link chooseSettings}; UsageError for a base that no run has;
 * UserError for two runs of one arm and seed, which name the same thing.
 */
export function analyse(measured: readonly MeasuredRun[], options: AnalysisOptions): Front {
  const { kl, quality, base, choose, ...comparing } = options;
  if (measured.length === 0) throw new UsageError('name one run at least: a run folder or a file of results');
  const all = withBase(frontRuns(measured, { kl, quality }), base);
  requireOneOfEach(all);
  if (!choose) return { runs: all, arms: summarise(all), choice: undefined, ...compared(all, all, comparing) };

  const by = choose.by ?? quality;
  const { tuneSeeds, testSeeds } = choose;
  const { tune } = splitSeeds(frontRuns(measured, { kl, quality: by }), choose);
  const { test } = splitSeeds(all, choose);
  const tested = [...groupsOf(test, 'method')].map(
    ([method, own]) => [method, new Set(own.map(({ arm }) => arm))] as const,
  );
  const choices = chooseSettings(tune, new Map(tested), choose);
  const chosen = test.filter(({ arm }) => choices.some((one) => one.chosen === arm));
  const families = new Set(chosen.map(({ family }) => family));
  const runs = test.filter(({ family }) => families.has(family));
  const choice = { by, mostKl: choose.mostKl, tuneSeeds, testSeeds, arms: choices };
  return { runs, arms: summarise(runs), choice, ...compared(chosen, runs, comparing) };
}

/** Runs that are all compared with one method. */
function withBase(runs: readonly FrontRun[], base: string | undefined): FrontRun[] {
  if (base === undefined) return [...runs];
  const methods = [...new Set(runs.map(({ method }) => method))];
  if (methods.includes(base)) return runs.map((run) => ({ ...run, base }));
  const near = nearest(base, methods);
  const known = `${near ? `did you mean ${near}?; ` : ''}there are ${methods.join(', ')}`;
  throw new UsageError((option) => `${option('base')}: no run is of ${base}; ${known}`);
}

/** Comparisons of arms, and those of the ends of families. */
function compared(arms: readonly FrontRun[], families: readonly FrontRun[], options: Comparing) {
  const ofArms = pairsOf(arms, 'arm').flatMap(([form, base]) =>
    (['training', 'best', 'end'] as const).map((way) => compare(form, base, 'arm', { ...options, way })),
  );
  const ofFamilies = pairsOf(families, 'family')
    .filter((sides) => sides.some((side) => new Set(side.map(({ arm }) => arm)).size > 1))
    .map(([form, base]) => compare(form, base, 'family', { ...options, way: 'ends' }));
  return adjusted([...ofArms, ...ofFamilies]);
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

function compare(
  form: readonly FrontRun[],
  base: readonly FrontRun[],
  by: 'arm' | 'family',
  options: CompareOptions & { way: Way },
): FrontComparison {
  const courses = (runs: readonly FrontRun[]) => runs.map((run) => ({ ...run, arm: run[by] }));
  return compareFronts(courses(form), courses(base), options);
}
