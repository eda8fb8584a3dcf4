/** Two models side by side: wins, ties and losses, with intervals and the lengths of the answers. */
import { uniforms } from '../../random.js';
import {
  type BootstrapResult,
  clusterBootstrap,
  clusterSignTest,
  clustersOf,
  type Interval,
  mean,
  quantile,
  wilsonInterval,
} from '../../stats/index.js';
import { characters } from '../answers.js';
import type { BothOrders, Outcome, Verdict } from '../judge/judge.js';

/** One prompt, both answers, and what the judge said of them. */
export interface ComparedRow {
  prompt: string;
  answer: string;
  other: string;
  /** `win` is one of `answer`. Undefined without a verdict. */
  outcome: Outcome | undefined;
  agree: boolean | undefined;
  /** With `answer` in the first and in the second place; empty for equal answers, which nobody is asked about. */
  verdicts: readonly Verdict[];
}

/** A row of equal answers is a tie; otherwise it is what both orders say. */
export function comparedRow(
  texts: { prompt: string; answer: string; other: string },
  judged?: BothOrders,
): ComparedRow {
  if (!judged) return { ...texts, outcome: 'tie', agree: true, verdicts: [] };
  return { ...texts, ...judged };
}

interface LengthStatistics {
  /** Characters. */
  mean: number;
  median: number;
  /** Words between white space. */
  meanWords: number;
}

export interface Comparison {
  /** Rows with a verdict. */
  n: number;
  wins: number;
  ties: number;
  losses: number;
  /** Rows without a verdict, which count nowhere. */
  unparsed: number;
  /** Rows whose answers are equal; they are among the ties. */
  identical: number;
  /** (wins + ties / 2) / n. */
  winRate: number;
  /** Wilson's interval of the win rate, a prompt being one trial. */
  wilson: Interval;
  /**
   * The bootstrap of the win rate, which draws prompts with all their rows, and its two-sided p of a win rate of 1/2.
   * `clusters` counts the prompts, `values` the rows.
   */
  bootstrap: BootstrapResult;
  /** The exact sign test on prompts: those with more wins than losses against those with more losses. */
  signTest: number;
  /** Rows on which the two orders disagree; they are among the ties. */
  disagreements: number;
  /** Of the single verdicts that decide, the share for the first place; 1/2 is fair. NaN without any. */
  firstPlaceShare: number;
  lengths: { answer: LengthStatistics; other: LengthStatistics };
  /** Of the rows that are decided and whose lengths differ, the share won by the longer answer. NaN without any. */
  longerWins: number;
  /** The win rate where `answer` is the longer one, and where it is the shorter one. NaN without any. */
  winRateLonger: number;
  winRateShorter: number;
}

/**
 * What came of the rows, with intervals at `level` (default 0.95). Rows of equal prompts depend on each other: the
 * bootstrap draws prompts (default 10,000 times), by the seed, Wilson's interval and the sign test count them. Errors:
 * RangeError without a single verdict.
 */
export function compare(
  rows: readonly ComparedRow[],
  { level = 0.95, resamples, seed = 0 }: { level?: number; resamples?: number | undefined; seed?: number } = {},
): Comparison {
  const judged = rows.filter((row): row is ComparedRow & { outcome: Outcome } => row.outcome !== undefined);
  if (judged.length === 0) throw new RangeError('no row has a verdict');
  const count = (outcome: Outcome) => judged.filter((row) => row.outcome === outcome).length;
  const [wins, ties, losses] = [count('win'), count('tie'), count('loss')];
  const scores = judged.map(({ outcome }) => scoreOf(outcome));
  const successes = wins + ties / 2;
  const byPrompt = clustersOf(judged, ({ prompt }) => prompt).map((rows) =>
    rows.map(({ outcome }) => scoreOf(outcome) - 0.5),
  );
  const around = clusterBootstrap(byPrompt, { random: uniforms(seed, 3), resamples, level });
  const longer = judged.map(({ answer, other }) => Math.sign(characters(answer) - characters(other)));
  const decided = judged.flatMap(({ outcome }, i) =>
    outcome === 'tie' || longer[i] === 0 ? [] : [Number((outcome === 'win') === longer[i]! > 0)],
  );
  const single = judged.flatMap(({ verdicts }) =>
    verdicts.flatMap(({ first }) => (first === undefined || first === 0.5 ? [] : [Number(first > 0.5)])),
  );
  return {
    n: judged.length,
    wins,
    ties,
    losses,
    unparsed: rows.length - judged.length,
    identical: judged.filter(({ verdicts }) => verdicts.length === 0).length,
    winRate: successes / judged.length,
    wilson: wilsonInterval((successes * byPrompt.length) / judged.length, byPrompt.length, level),
    bootstrap: {
      ...around,
      estimate: around.estimate + 0.5,
      low: around.low + 0.5,
      high: around.high + 0.5,
    },
    signTest: clusterSignTest(byPrompt),
    disagreements: judged.filter(({ agree }) => agree === false).length,
    firstPlaceShare: mean(single),
    lengths: {
      answer: lengthStatistics(judged.map(({ answer }) => answer)),
      other: lengthStatistics(judged.map(({ other }) => other)),
    },
    longerWins: mean(decided),
    winRateLonger: mean(scores.filter((_, i) => longer[i]! > 0)),
    winRateShorter: mean(scores.filter((_, i) => longer[i]! < 0)),
  };
}

const scoreOf = (outcome: Outcome) => ({ win: 1, tie: 0.5, loss: 0 })[outcome];

function lengthStatistics(texts: readonly string[]): LengthStatistics {
  const lengths = texts.map(characters);
  return {
    mean: mean(lengths),
    median: quantile(lengths, 0.5),
    meanWords: mean(texts.map((text) => text.match(/\S+/g)?.length ?? 0)),
  };
}
