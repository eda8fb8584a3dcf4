/** The scores of Arena-Hard from verdicts. */
import { UserError } from '../../errors.js';
import { uniforms } from '../../random.js';
import { type Battle, bradleyTerryBootstrap, groupBy, type Interval } from '../../stats/index.js';
import { type Style, standardise, styleDifference, styleNames } from './style.js';
import { type ArenaVerdict, verdictScore } from './verdict.js';

export type ArenaVersion = 'v0.1' | 'v2.0';

/** Where the two versions of the benchmark differ. */
export const arenaRules = {
  'v0.1': { labels: 'only', drops: 'game', level: 0.95, baselines: { 'arena-hard-v0.1': 'gpt-4-0314' } },
  'v2.0': {
    labels: 'last',
    drops: 'question',
    level: 0.9,
    baselines: {
      hard_prompt: 'o3-mini-2025-01-31',
      coding: 'o3-mini-2025-01-31',
      math: 'o3-mini-2025-01-31',
      creative_writing: 'gemini-2.0-flash-001',
    },
  },
} as const;

/** A verdict such as `A>>B` counts as so many of `A>B`. */
const strongWeight = 3;

/** The two games of a question. */
export interface ArenaJudgment {
  uid: string;
  category: string;
  model: string;
  baseline: string;
  /** The baseline's answer in place A, then the model's; undefined where the judge gave no verdict. */
  games: readonly [ArenaVerdict | undefined, ArenaVerdict | undefined];
}

export interface LeaderboardOptions {
  version: ArenaVersion;
  /** Coverage of the intervals; default: 0.9 (v2.0), 0.95 (v0.1). */
  level?: number | undefined;
  /** Default: 100. */
  resamples?: number | undefined;
  seed?: number | undefined;
  /**
   * What is drawn in the bootstrap: whole questions (default), whose verdicts hang together, or each verdict on its
   * own, a strong one three times, as Arena-Hard does, which gives narrower intervals.
   */
  resample?: 'questions' | 'battles' | undefined;
  /** Differences in style that are controlled for; none when left out. */
  style?: 'length' | 'markdown' | 'both' | undefined;
  /**
   * Where the scores are read: at equal style (default), or at the mean difference in style of all battles, as
   * Arena-Hard 2.0 does; there the control says nothing of a model that is alone against the baseline.
   */
  styleAt?: 'equal' | 'mean' | undefined;
  /** The styles of answers; needed with `style`. */
  styles?: Styles | undefined;
}

export interface Styles {
  /** What lengths are in. */
  lengthUnit: 'tokens' | 'characters / 4';
  /** The style of a model's answer to a question; undefined where that is missing. */
  of(model: string, uid: string): Style | undefined;
}

interface ArenaModel {
  model: string;
  /** Percent: the probability to win against the baseline. */
  score: number;
  low: number;
  high: number;
  /** Questions with a verdict that counts. */
  questions: number;
  wins: number;
  ties: number;
  losses: number;
  /** Games without a verdict, and questions that were therefore left out. */
  unparsed: number;
  dropped: number;
  mean_length?: number | undefined;
}

export interface Leaderboard {
  category: string;
  baseline: string;
  /** Of the baseline's answers, where answers are given. */
  baseline_mean_length?: number | undefined;
  /** What the lengths of this board are in. */
  length_unit?: Styles['lengthUnit'] | undefined;
  models: ArenaModel[];
  /** Models without a verdict that counts, and how many of their questions were left out. */
  unjudged: { model: string; dropped: number }[];
  /** Log-odds per standard deviation of each difference in style, where it is controlled for. */
  style?: Record<string, { coefficient: number } & Interval> | undefined;
}

/**
 * A leaderboard for each category, best model first: the Bradley-Terry probability to win against the baseline, a
 * strong verdict counting three times, a tie as half a win; with bootstrap intervals and, if wanted, style control.
 * Without style control the score is the weighted mean of the verdicts. A model of which no verdict counts has no
 * score, and a category of which none does has no models. Errors: UserError for a missing answer, and where no verdict
 * of any category counts. Source: arena-hard-auto, show_result.py.
 */
export function arenaLeaderboards(judgments: readonly ArenaJudgment[], options: LeaderboardOptions): Leaderboard[] {
  const groups = groupBy(judgments, ({ category, baseline }) => JSON.stringify([category, baseline]));
  const boards = [...groups.values()].map((group) => leaderboard(group, options));
  if (boards.some(({ models }) => models.length > 0)) return boards;
  throw new UserError(
    boards.map(({ category, unjudged }) => `${category}: no verdict counts, of ${sum(unjudged)} questions`).join('\n'),
  );
}

const sum = (some: readonly { dropped: number }[]) => some.reduce((total, { dropped }) => total + dropped, 0);

/** Battles of the model (first) against the baseline (second). */
type Game = Battle & { uid: string };

function leaderboard(judgments: readonly ArenaJudgment[], options: LeaderboardOptions): Leaderboard {
  const { category, baseline } = judgments[0]!;
  const tallies = new Map<string, Tally>();
  const games = judgments.flatMap((judgment) => gamesOf(judgment, options.version, tallies));
  const judged = [...tallies].filter(([, { questions }]) => questions > 0);
  const unjudged = [...tallies]
    .filter(([, { questions }]) => questions === 0)
    .map(([model, { dropped }]) => ({ model, dropped }));
  const board = {
    ...{ category, baseline, baseline_mean_length: meanLength(baseline, judgments, options.styles) },
    length_unit: options.styles?.lengthUnit,
  };
  if (games.length === 0) return { ...board, models: [], unjudged };
  const fit = fitGames(games, baseline, options);
  const models = judged.map(([model, tally]): ArenaModel => {
    const { rate, low, high } = fit.winRates[fit.players.indexOf(model)]!;
    const mean_length = meanLength(model, judgments, options.styles);
    return { model, score: 100 * rate, low: 100 * low, high: 100 * high, ...tally, mean_length };
  });
  const names = styleNames.filter((name) => isControlled(name, options.style));
  const style = names.map((name, j) => [name, { coefficient: fit.coefficients[j]!, ...fit.coefficientIntervals[j]! }]);
  return {
    ...board,
    models: models.sort((a, b) => b.score - a.score),
    unjudged,
    style: options.style && Object.fromEntries(style),
  };
}

function fitGames(games: readonly Game[], baseline: string, options: LeaderboardOptions) {
  const { version, level = arenaRules[version].level, resamples = 100, seed = 0, resample } = options;
  const battles = options.style ? withStyle(games, options) : games;
  return bradleyTerryBootstrap(resample === 'battles' ? battles.flatMap(once) : battles, {
    anchor: baseline,
    random: uniforms(seed, 1),
    resamples,
    level,
    // Shifts a score by less than 1e-6 points, and keeps a model that always wins at a number.
    ridge: 1e-9,
    clusterOf: resample === 'battles' ? undefined : (battle) => (battle as Game).uid,
  });
}

/** The mean length of a model's answers to the questions that are judged, where all are there. */
function meanLength(name: string, judgments: readonly ArenaJudgment[], styles: Styles | undefined): number | undefined {
  if (!styles) return undefined;
  const uids = judgments.filter(({ model, baseline }) => model === name || baseline === name).map(({ uid }) => uid);
  const own = [...new Set(uids)].flatMap((uid) => styles.of(name, uid)?.length ?? []);
  return own.length === new Set(uids).size ? own.reduce((total, one) => total + one, 0) / own.length : undefined;
}

type Tally = Pick<ArenaModel, 'questions' | 'wins' | 'ties' | 'losses' | 'unparsed' | 'dropped'>;

function gamesOf(
  { uid, model, baseline, games }: ArenaJudgment,
  version: ArenaVersion,
  tallies: Map<string, Tally>,
): Game[] {
  const tally = tallies.get(model) ?? { questions: 0, wins: 0, ties: 0, losses: 0, unparsed: 0, dropped: 0 };
  tallies.set(model, tally);
  const unparsed = games.filter((game) => game === undefined).length;
  tally.unparsed += unparsed;
  if (unparsed === 2 || (unparsed === 1 && arenaRules[version].drops === 'question')) {
    tally.dropped++;
    return [];
  }
  tally.questions++;
  return games.flatMap((verdict, order): Game[] => {
    if (verdict === undefined) return [];
    const { score: scoreOfA, weight } = verdictScore(verdict, strongWeight);
    const score = order === 0 ? 1 - scoreOfA : scoreOfA;
    tally[score === 1 ? 'wins' : score === 0 ? 'losses' : 'ties']++;
    return [{ first: model, second: baseline, score, weight, uid }];
  });
}

/** A battle that counts several times as so many battles. */
const once = (battle: Battle): Battle[] => Array.from({ length: battle.weight ?? 1 }, () => ({ ...battle, weight: 1 }));

function withStyle(games: readonly Game[], { style, styleAt = 'equal', styles }: LeaderboardOptions): Game[] {
  const find = (model: string, uid: string) => {
    const found = styles?.of(model, uid);
    if (!found) throw new UserError(`style control needs the answer of ${model} to ${uid}: give its file of answers`);
    return found;
  };
  const differences = games.map(({ first, second, uid }) =>
    styleDifference(find(first, uid), find(second, uid)).filter((_, j) => isControlled(styleNames[j]!, style)),
  );
  const covariates = standardise(
    differences,
    games.map(({ weight }) => weight!),
    styleAt === 'mean',
  );
  return games.map((game, i) => ({ ...game, covariates: covariates[i]! }));
}

function isControlled(name: (typeof styleNames)[number], style: LeaderboardOptions['style']): boolean {
  if (style === undefined) return false;
  return style === 'both' || (name === 'length') === (style === 'length');
}
