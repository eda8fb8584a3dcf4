/** The setting of each arm that some seeds choose, and other seeds then test. */
import { UsageError, UserError } from '../../errors.js';
import type { FrontRun } from './read-runs.js';
import { groupsOf, type SettingSummary, summarise } from './settings.js';

export interface ChoiceOptions {
  /** The seeds whose runs choose. */
  tuneSeeds: readonly string[];
  /** The seeds whose runs are compared; none of them is among the others. */
  testSeeds: readonly string[];
  /** The metric whose mean at the end of training chooses; default: the quality that is compared. */
  by?: string | undefined;
  /** A budget: of the settings whose mean KL at the end is at most so many nats. Default: of all. */
  mostKl?: number | undefined;
}

/** What was chosen of an arm of a study, or a method. */
interface ArmChoice {
  method: string;
  /** The setting; its only one where none was tuned. */
  chosen: string;
  /** The settings that the tuning seeds have, in the order of rows. */
  candidates: SettingSummary[];
}

export interface Choice {
  by: string;
  mostKl: number | undefined;
  tuneSeeds: readonly string[];
  testSeeds: readonly string[];
  arms: ArmChoice[];
}

/** Runs of the tuning seeds and of the test seeds. Errors: UsageError for seeds in both, or that no run has. */
export function splitSeeds(runs: readonly FrontRun[], { tuneSeeds, testSeeds }: ChoiceOptions) {
  const both = tuneSeeds.filter((seed) => testSeeds.includes(seed));
  if (both.length > 0) {
    const which = `${both.join(', ')} ${both.length === 1 ? 'is' : 'are'}`;
    throw new UsageError(
      (option) =>
        `${option('testSeeds')}: ${which} among ${option('tuneSeeds')} too: what chose a setting cannot test it`,
    );
  }
  const known = [...new Set(runs.map(({ seed }) => seed))];
  for (const [name, seeds] of Object.entries({ tuneSeeds, testSeeds })) {
    const unknown = seeds.filter((seed) => !known.includes(seed));
    if (unknown.length === 0 && seeds.length > 0) continue;
    const problem = seeds.length === 0 ? 'none is given' : `no run has ${unknown.join(', ')}`;
    throw new UsageError((option) => `${option(name)}: ${problem}; the seeds of the runs are ${known.join(', ')}`);
  }
  const of = (seeds: readonly string[]) => runs.filter(({ seed }) => seeds.includes(seed));
  return { tune: of(tuneSeeds), test: of(testSeeds) };
}

/**
 * The best setting of each arm by its mean at the end of the tuning runs, of those within the budget of KL; a setting
 * of which a run ended without a number is none. `tested` are the settings of the test runs, by arms: all that is
 * known of these here. Errors: UserError for settings of an arm on different tuning seeds, whose means say nothing of
 * each other; for an arm without a setting to choose; for a chosen setting without a test seed.
 */
export function chooseSettings(
  tune: readonly FrontRun[],
  tested: ReadonlyMap<string, ReadonlySet<string>>,
  { tuneSeeds, mostKl }: Pick<ChoiceOptions, 'tuneSeeds' | 'mostKl'>,
): ArmChoice[] {
  const tuned = groupsOf(tune, 'method');
  const methods = [...new Set([...tuned.keys(), ...tested.keys()])];
  return methods.map((method) => {
    const candidates = summarise(tuned.get(method) ?? []);
    for (const { arm, seeds } of candidates) {
      const lacking = tuneSeeds.filter((seed) => !seeds.includes(seed));
      if (lacking.length === 0) continue;
      throw new UserError(`${arm} has no run of seed ${lacking.join(', ')}: settings are chosen by equal tuning seeds`);
    }
    const there = [...(tested.get(method) ?? [])];
    const chosen = candidates.length === 0 && there.length === 1 ? there[0]! : bestOf(method, candidates, mostKl);
    if (!there.includes(chosen)) {
      const others = there.length === 0 ? '' : `; those of ${method} that have are ${there.join(', ')}`;
      throw new UserError(`${chosen} was chosen and has no run of a test seed${others}`);
    }
    return { method, chosen, candidates };
  });
}

function bestOf(method: string, candidates: readonly SettingSummary[], mostKl = Number.POSITIVE_INFINITY): string {
  const ended = candidates.filter(({ end }) => end !== undefined);
  if (ended.length === 0)
    throw new UserError(`${method} has no setting to choose: none has runs of the tuning seeds with an end`);
  const [first, ...rest] = ended.filter(({ end }) => end!.kl.mean <= mostKl);
  if (!first) {
    const least = Math.min(...ended.map(({ end }) => end!.kl.mean));
    throw new UserError(
      (option) =>
        `${method} has no setting within ${option('mostKl')} ${mostKl}: the least KL at an end is ${least.toFixed(2)} nats`,
    );
  }
  return rest.reduce((best, one) => (one.end!.quality.mean > best.end!.quality.mean ? one : best), first).arm;
}
