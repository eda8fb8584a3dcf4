/** The Bradley-Terry model, with ties, weights, and covariates of each battle. */
import { drawCounts, type Random } from './bootstrap.js';
import { solvePositive } from './linear.js';
import { sigmoid, softplus } from './logistic.js';
import { type Interval, percentileInterval } from './summary.js';

/** One comparison. */
export interface Battle {
  first: string;
  second: string;
  /** What the first got: 1 a win, 0 a loss, 1/2 a tie. */
  score: number;
  /** How often the comparison counts; default 1. */
  weight?: number | undefined;
  /** Differences first - second that are to be controlled for, such as of length; the same number in every battle. */
  covariates?: readonly number[] | undefined;
}

export interface BradleyTerryOptions {
  /** The player whose rating is 0; without it, the ratings' mean is 0. */
  anchor?: string | undefined;
  /**
   * Adds ridge |parameters|² / 2 to the loss, so that a player who wins every battle keeps a finite rating. Default 0:
   * the maximum of the likelihood, and an error where there is none.
   */
  ridge?: number | undefined;
}

/** The ratings of players by maximum likelihood. */
export interface BradleyTerryFit {
  /** The players in order of name. */
  players: string[];
  /** Their ratings: log-odds to win against the anchor. */
  ratings: number[];
  /** One coefficient a covariate. */
  coefficients: number[];
}

/**
 * The ratings r and coefficients c that maximise sum_i weight_i (score_i log p_i + (1 - score_i) log(1 - p_i)), with
 * p_i = sigmoid(r_first - r_second + c covariates_i): a logistic regression on the signed indicators of the players, a
 * tie being half a win of each. By Newton's method to rounding. Errors: RangeError for players that are not connected
 * by battles, scores outside [0, 1], covariates of different number, and a maximum at infinity. Sources: Bradley and
 * Terry 1952; covariates after the style control of Chatbot Arena.
 */
export function bradleyTerry(battles: readonly Battle[], options: BradleyTerryOptions = {}): BradleyTerryFit {
  const problem = compile(battles, options.anchor);
  requireConnected(problem);
  return fitOf(problem, solve(problem, problem.weights, options.ridge ?? 0));
}

/** A fit with intervals of a bootstrap over its battles. */
export interface BradleyTerryIntervals extends BradleyTerryFit {
  /** Of the probability to win against the anchor, per player. */
  winRates: ({ rate: number } & Interval)[];
  /** Of the ratings, per player. */
  ratingIntervals: Interval[];
  coefficientIntervals: Interval[];
}

export interface BradleyTerryBootstrapOptions extends BradleyTerryOptions {
  anchor: string;
  random: Random;
  /** Default: 100. */
  resamples?: number | undefined;
  /** Default: 0.95. */
  level?: number | undefined;
  /**
   * What is drawn as a whole: battles with the same key, such as the two orders of one question. Battles one by one
   * when left out.
   */
  clusterOf?: ((battle: Battle, index: number) => string) | undefined;
}

/**
 * {@link bradleyTerry} with percentile intervals: clusters of battles are drawn with replacement and the model fitted
 * again. Errors: as there.
 */
export function bradleyTerryBootstrap(
  battles: readonly Battle[],
  { anchor, random, resamples = 100, level = 0.95, ridge = 0, clusterOf }: BradleyTerryBootstrapOptions,
): BradleyTerryIntervals {
  const problem = compile(battles, anchor);
  requireConnected(problem);
  const start = solve(problem, problem.weights, ridge);
  const clusters = clusterNumbers(battles, clusterOf);
  const fits = Array.from({ length: resamples }, () => {
    const counts = drawCounts(clusters.count, random);
    const weights = problem.weights.map((weight, i) => weight * counts[clusters.of[i]!]!);
    return fitOf(problem, solve(problem, weights, ridge, start));
  });
  const fit = fitOf(problem, start);
  const intervals = (pick: (one: BradleyTerryFit) => number[]) =>
    pick(fit).map((_, i) =>
      percentileInterval(
        fits.map((one) => pick(one)[i]!),
        level,
      ),
    );
  const rates = intervals(({ ratings }) => ratings.map(sigmoid));
  return {
    ...fit,
    winRates: fit.ratings.map((rating, i) => ({ rate: sigmoid(rating), ...rates[i]! })),
    ratingIntervals: intervals(({ ratings }) => ratings),
    coefficientIntervals: intervals(({ coefficients }) => coefficients),
  };
}

interface Problem {
  players: string[];
  /** The index of the player whose rating is held at 0, and whether the caller asked for that. */
  held: number;
  isAnchored: boolean;
  first: Int32Array;
  second: Int32Array;
  scores: Float64Array;
  weights: Float64Array;
  /** Battle after battle. */
  covariates: Float64Array;
  covariateCount: number;
}

function compile(battles: readonly Battle[], anchor: string | undefined): Problem {
  const players = [...new Set(battles.flatMap(({ first, second }) => [first, second]))].sort();
  if (battles.length === 0) throw new RangeError('no battles');
  const held = anchor === undefined ? 0 : players.indexOf(anchor);
  if (held === -1) throw new RangeError(`the anchor ${JSON.stringify(anchor)} has no battle`);
  const indexOf = new Map(players.map((player, i) => [player, i]));
  const covariateCount = battles[0]!.covariates?.length ?? 0;
  for (const { score, weight = 1, covariates = [] } of battles) {
    if (!(score >= 0 && score <= 1 && weight >= 0 && weight < Number.POSITIVE_INFINITY)) {
      throw new RangeError(`score ${score}, weight ${weight}: a score in [0, 1] and a weight from 0 are allowed`);
    }
    if (covariates.length !== covariateCount || !covariates.every(Number.isFinite)) {
      throw new RangeError('every battle needs the same number of covariates, all of them finite');
    }
  }
  return {
    players,
    held,
    isAnchored: anchor !== undefined,
    first: Int32Array.from(battles, ({ first }) => indexOf.get(first)!),
    second: Int32Array.from(battles, ({ second }) => indexOf.get(second)!),
    scores: Float64Array.from(battles, ({ score }) => score),
    weights: Float64Array.from(battles, ({ weight }) => weight ?? 1),
    covariates: Float64Array.from(battles.flatMap(({ covariates }) => covariates ?? [])),
    covariateCount,
  };
}

function requireConnected({ players, first, second, weights }: Problem): void {
  const groups = players.map((_, i) => i);
  const find = (i: number): number => (groups[i] === i ? i : find(groups[i]!));
  for (let i = 0; i < first.length; i++) if (weights[i]! > 0) groups[find(first[i]!)] = find(second[i]!);
  const stranger = players.find((_, i) => find(i) !== find(0));
  if (stranger === undefined) return;
  throw new RangeError(`no chain of battles connects ${JSON.stringify(players[0])} and ${JSON.stringify(stranger)}`);
}

/** Ratings (of all players but the held one, in order) and coefficients, as one vector. */
function solve(problem: Problem, weights: Float64Array, ridge: number, start?: Float64Array): Float64Array {
  const { players, first, second, covariates, covariateCount, held } = problem;
  const size = players.length - 1 + covariateCount;
  let theta: Float64Array = start ? Float64Array.from(start) : new Float64Array(size);
  const rows = mergedRows(problem, weights);

  // The row's entries that are not 0. A player's column is its index without the held player, who has none.
  const columns = new Int32Array(2 + covariateCount);
  const values = new Float64Array(2 + covariateCount);
  const load = ({ battle }: Row): number => {
    let filled = 0;
    const [a, b] = [first[battle]!, second[battle]!];
    if (a !== b && a !== held) {
      columns[filled] = a < held ? a : a - 1;
      values[filled++] = 1;
    }
    if (a !== b && b !== held) {
      columns[filled] = b < held ? b : b - 1;
      values[filled++] = -1;
    }
    for (let j = 0; j < covariateCount; j++) {
      columns[filled] = players.length - 1 + j;
      values[filled++] = covariates[battle * covariateCount + j]!;
    }
    return filled;
  };

  const logit = (filled: number, at: Float64Array) => {
    let z = 0;
    for (let j = 0; j < filled; j++) z += values[j]! * at[columns[j]!]!;
    return z;
  };
  const loss = (at: Float64Array) => {
    let sum = 0;
    for (const value of at) sum += (ridge * value ** 2) / 2;
    for (const row of rows) {
      const z = logit(load(row), at);
      sum += row.weight * softplus(z) - row.won * z;
    }
    return sum;
  };
  /** Newton's step at theta. */
  const newton = (): Float64Array => {
    const negativeGradient = theta.map((value) => -ridge * value);
    const hessian = new Float64Array(size * size);
    for (let j = 0; j < size; j++) hessian[j * size + j] = ridge;
    for (const row of rows) {
      const filled = load(row);
      const p = sigmoid(logit(filled, theta));
      const curvature = row.weight * p * (1 - p);
      for (let j = 0; j < filled; j++) {
        const at = columns[j]!;
        negativeGradient[at] = negativeGradient[at]! + (row.won - row.weight * p) * values[j]!;
        for (let l = 0; l < filled; l++) {
          const cell = at * size + columns[l]!;
          hessian[cell] = hessian[cell]! + curvature * values[j]! * values[l]!;
        }
      }
    }
    const step = solvePositive(hessian, negativeGradient);
    if (!step) throw new RangeError(infinite);
    return step;
  };

  let current = loss(theta);
  for (let iteration = 0; iteration < 200; iteration++) {
    const step = newton();
    const largest = Math.max(0, ...step.map(Math.abs));
    let share = 1;
    let next = theta.map((value, j) => value + step[j]!);
    let found = loss(next);
    while (found > current + 1e-12 * Math.abs(current) && share > 1e-8) {
      share /= 2;
      next = theta.map((value, j) => value + share * step[j]!);
      found = loss(next);
    }
    theta = next;
    current = found;
    if (ridge === 0 && theta.some((value) => Math.abs(value) > 100)) throw new RangeError(infinite);
    // The error after a step is of the order of the step's square.
    if (largest <= 1e-10 * (1 + Math.max(0, ...theta.map(Math.abs)))) break;
  }
  return theta;
}

interface Row {
  /** A battle with the row's players and covariates. */
  battle: number;
  weight: number;
  /** Weight times score. */
  won: number;
}

/** The battles that count; without covariates, all battles of the same two players, in this order, are one row. */
function mergedRows({ players, first, second, scores, covariateCount }: Problem, weights: Float64Array): Row[] {
  const rows: Row[] = [];
  const byPair = new Map<number, Row>();
  for (let battle = 0; battle < weights.length; battle++) {
    const weight = weights[battle]!;
    if (weight === 0) continue;
    const won = weight * scores[battle]!;
    const key = first[battle]! * players.length + second[battle]!;
    const same = covariateCount === 0 ? byPair.get(key) : undefined;
    if (same) {
      same.weight += weight;
      same.won += won;
      continue;
    }
    const row = { battle, weight, won };
    rows.push(row);
    if (covariateCount === 0) byPair.set(key, row);
  }
  return rows;
}

const infinite =
  'the likelihood has no maximum: a player wins or loses every battle, or a covariate decides them or repeats another; a ridge keeps the ratings finite';

function fitOf({ players, held, isAnchored }: Problem, theta: Float64Array): BradleyTerryFit {
  const raw = players.map((_, i) => (i === held ? 0 : theta[i < held ? i : i - 1]!));
  const shift = isAnchored ? 0 : raw.reduce((sum, rating) => sum + rating, 0) / raw.length;
  return {
    players,
    ratings: raw.map((rating) => rating - shift),
    coefficients: [...theta.slice(players.length - 1)],
  };
}

function clusterNumbers(
  battles: readonly Battle[],
  clusterOf: BradleyTerryBootstrapOptions['clusterOf'],
): { of: Int32Array; count: number } {
  if (!clusterOf) return { of: Int32Array.from(battles, (_, i) => i), count: battles.length };
  const numbers = new Map<string, number>();
  const of = Int32Array.from(battles, (battle, i) => {
    const key = clusterOf(battle, i);
    const number = numbers.get(key) ?? numbers.size;
    numbers.set(key, number);
    return number;
  });
  return { of, count: numbers.size };
}
