/** The win rates of AlpacaEval 2: raw, and controlled for length. */
import { fitL1Logistic, mean, sigmoid, standardDeviation, standardError, targetMoments } from '../../stats/index.js';

/** The two gamed baselines (the baseline told to be verbose, or concise) that tie a model's fit down. */
export interface GamedBaselines {
  /** Lengths in characters of the baseline (1) and of the gamed one (2), per instruction. */
  lengths: readonly { len1: readonly number[]; len2: readonly number[] }[];
  /** Sum of y tanh(standardised length difference) over all their rows, y in [0, 1] being what the judge said. */
  s1: number;
  /** Sum of y difficulty over all their rows. */
  s2: number;
}

/** What the judge said of one model against the baseline. */
export interface Preferences {
  /** Lengths of the baseline's (1) and the model's (2) answers, in characters. */
  len1: readonly number[];
  len2: readonly number[];
  /** 1 the baseline's answer ... 2 the model's; 1.5, or 0, a draw; null not judged. */
  preference: readonly (number | null)[];
  /** The place of each row's instruction in AlpacaEval's order, from 0. */
  index: readonly number[];
}

export interface LengthControlWeights {
  w_len: number;
  w_difficulty: number;
  w_bias: number;
}

export interface WinRates {
  /** Rows that were judged. */
  n: number;
  /** Percent: the mean preference for the model. */
  win_rate: number;
  /** Percent: standard deviation (n - 1) over sqrt(n). */
  standard_error: number;
  n_wins: number;
  n_wins_base: number;
  n_draws: number;
  /** Percent: wins and half the draws. */
  discrete_win_rate: number;
  /** Mean length of the model's answers in characters, rounded down. */
  avg_length: number;
}

/** The win rates without regard to length. Source: AlpacaEval, metrics/winrate.py. */
export function winRates({ preference, len2 }: Preferences): WinRates {
  const shares = preference.flatMap((one) => (one === null ? [] : [modelShare(one)]));
  const count = (test: (share: number) => boolean) => shares.filter(test).length;
  const [n_wins, n_wins_base, n_draws] = [count((s) => s > 0.5), count((s) => s < 0.5), count((s) => s === 0.5)];
  return {
    n: shares.length,
    win_rate: 100 * mean(shares),
    standard_error: 100 * standardError(shares),
    n_wins,
    n_wins_base,
    n_draws,
    discrete_win_rate: (100 * (n_wins + n_draws / 2)) / shares.length,
    avg_length: Math.floor(mean(len2)),
  };
}

/** Between the baseline (0) and the model (1). */
const modelShare = (preference: number) => (preference === 0 ? 0.5 : preference - 1);

/** Weight of a row of a gamed baseline: 0.2, halved because there are two. */
const gamedWeight = 0.1;

/**
 * The fit behind the length-controlled win rate: the weights of logit p_i = w_len tanh(d_i / sd(d)) + w_difficulty
 * difficulty_i + w_bias, d = len1 - len2 and sd with n - 1, that minimise |w|_1 + C (log-loss of the model's rows + 0.1
 * log-loss of the gamed rows), gamed rows having no bias. Where no length differs there is none to be controlled for,
 * and d / sd(d) is 0. Errors: RangeError when all differences are equal without being 0. Source: Dubois et al. 2024 and
 * AlpacaEval, metrics/glm_winrate.py; there C is chosen by cross-validation over `gridOfC`, with judgements that are
 * not public.
 */
export function fitLengthControl(
  { len1, len2, preference, index }: Preferences,
  difficulty: readonly number[],
  gamed: GamedBaselines,
  C: number,
): LengthControlWeights {
  const differences = len1.map((one, i) => one - len2[i]!);
  const own = standardised(differences).map((t, i) => [t, difficulty[index[i]!]!, 1]);
  const judged = own.filter((_, i) => preference[i] !== null);
  const shares = preference.flatMap((one) => (one === null ? [] : [modelShare(one)]));
  const theirs = gamed.lengths.flatMap(({ len1, len2 }) =>
    standardised(len1.map((one, i) => one - len2[i]!)).map((t, i) => [t, difficulty[i]!, 0]),
  );
  const [m1, m2, m3] = targetMoments(judged, shares);
  const { coefficients } = fitL1Logistic({
    features: [...judged, ...theirs],
    weights: [...judged.map(() => 1), ...theirs.map(() => gamedWeight)],
    moments: [m1! + gamedWeight * gamed.s1, m2! + gamedWeight * gamed.s2, m3!],
    C,
  });
  return { w_len: coefficients[0]!, w_difficulty: coefficients[1]!, w_bias: coefficients[2]! };
}

/**
 * The length-controlled win rate in percent: the fit read at no difference in length,
 * 100 mean_i sigmoid(w_difficulty difficulty_i + w_bias) over the instructions `index`.
 */
export function lengthControlledWinRate(
  { w_difficulty, w_bias }: Pick<LengthControlWeights, 'w_difficulty' | 'w_bias'>,
  difficulty: readonly number[],
  index: readonly number[],
): number {
  return 100 * mean(index.map((i) => sigmoid(w_difficulty * difficulty[i]! + w_bias)));
}

/** The values among which AlpacaEval chooses C: ten from 1e-4 to 1e4, equally spaced in the logarithm. */
export const gridOfC = Array.from({ length: 10 }, (_, i) => 10 ** (-4 + (8 * i) / 9));

/** The value of the grid that AlpacaEval chose for most models whose weights are public. */
export const usualC = gridOfC[5]!;

function standardised(differences: readonly number[]): number[] {
  if (differences.every((d) => d === 0)) return [...differences];
  const deviation = standardDeviation(differences);
  if (!(deviation > 0)) {
    throw new RangeError('all answers differ from the baseline by the same length, which cannot be controlled for');
  }
  return differences.map((d) => Math.tanh(d / deviation));
}
