/** What the numbers of a quickstart say: which differences its sets of pairs tell apart, and which are noise. */
import { adjusted, type Course, compareFronts } from '../eval/front/compare.js';
import { commonRange, trainingCurve } from '../eval/front/curves.js';
import { groupBy } from '../stats/index.js';
import type { ResultRow } from '../sweep/index.js';
import { baseArm } from './study.js';

/** Below it a difference is told apart from noise. */
const significance = 0.05;

/**
 * The difference that is expected: the pilot of the study saw it before any quickstart was made
 * (docs/guide/quickstart.md). It is tested first and alone; the others only count where it is found, adjusted for all
 * of them (Holm). So the chance of any false finding stays at 5 % (a fixed sequence; Maurer, Hothorn and Lehmacher
 * 1995, "Multiple comparisons in drug clinical trials and preclinical assays").
 */
const expected = { arm: 'TR-DPO-soft', what: 'KL at the end' };

/** A difference of an arm and DPO, paired by the set of pairs; of KL a ratio, since that spreads by factors. */
export interface Difference {
  arm: string;
  what: 'gold at the end' | 'KL at the end' | 'gold at equal KL';
  /** Where both are read, nats; undefined at the ends. */
  kl: number | undefined;
  /** Undefined, as what follows it, where not all sets have it. */
  estimate: number | undefined;
  interval: { low: number; high: number } | undefined;
  /** Of the expected difference its own p; of the others that of Holm, at least the one of the expected. */
  p: number | undefined;
  isFinding: boolean;
}

/**
 * The differences of each arm and DPO: gold and KL at the end, and gold at the largest KL that all of their runs
 * reach, a whole number of nats. Means over sets of pairs with Student's 95 % intervals; the ratio of KL is exp of
 * those of the difference of logarithms.
 */
export function differences(rows: readonly ResultRow[]): Difference[] {
  const arms = [...groupBy(rows, ({ arm }) => arm).keys()].filter((arm) => arm !== baseArm);
  const questions = arms.flatMap((arm) => {
    const [ours, theirs] = [arm, baseArm].map((name) => coursesOf(rows, name, 'gold')) as [Course[], Course[]];
    const { high } = commonRange([...ours, ...theirs].map(({ points }) => trainingCurve(points)));
    const kl = Math.floor(high);
    const [ourKl, theirKl] = [arm, baseArm].map((name) => coursesOf(rows, name, 'kl')) as [Course[], Course[]];
    return [
      { arm, kl: undefined, what: 'gold at the end', test: compareFronts(ours, theirs, { way: 'end' }) },
      { arm, kl: undefined, what: 'KL at the end', test: compareFronts(ourKl, theirKl, { way: 'end' }) },
      { arm, kl, what: 'gold at equal KL', test: compareFronts(ours, theirs, { way: 'training', at: [kl] }) },
    ] as const;
  });
  const isExpected = ({ arm, what }: { arm: string; what: string }) => arm === expected.arm && what === expected.what;
  const first = questions.find(isExpected)?.test.rows[0]?.p;
  const rest = questions.filter((question) => !isExpected(question));
  const { comparisons } = adjusted(rest.map(({ test }) => test));
  return questions.map((question): Difference => {
    const { arm, kl, what, test } = question;
    const { difference, interval } = test.rows[0]!;
    const holm = comparisons[rest.indexOf(question)]?.rows[0]?.holm;
    const p = isExpected(question) ? first : holm === undefined ? undefined : Math.max(holm, first ?? 0);
    const scale = what === 'KL at the end' ? Math.exp : (value: number) => value;
    return {
      ...{ arm, what, kl, p, isFinding: p !== undefined && p < significance },
      estimate: difference === undefined ? undefined : scale(difference),
      interval: interval && { low: scale(interval.low), high: scale(interval.high) },
    };
  });
}

/** The runs of an arm, one a set of pairs. */
function coursesOf(rows: readonly ResultRow[], arm: string, quality: 'gold' | 'kl'): Course[] {
  const runs = groupBy(
    rows.filter((row) => row.arm === arm),
    ({ seed }) => seed,
  );
  return [...runs].map(([seed, own]) => ({
    ...{ arm, seed: String(seed) },
    points: own.map(({ step, kl, scores }) => {
      const nats = kl.mean ?? Number.NaN;
      return { step, kl: nats, quality: quality === 'kl' ? Math.log(nats) : (scores.gold!.mean ?? Number.NaN) };
    }),
  }));
}

/** The conclusion in sentences. */
export function verdict(rows: readonly ResultRow[], found: readonly Difference[]): string[] {
  const runs = [...groupBy(rows, ({ arm, seed }) => `${arm} ${seed}`).values()];
  const rises = runs.filter((run) => run.at(-1)!.scores.gold!.mean! > run[0]!.scores.gold!.mean!);
  const sets = new Set(rows.map(({ seed }) => seed)).size;
  const findings = found.filter(({ isFinding }) => isFinding);
  const told = findings.map(({ arm, what, estimate }) => {
    const isMore = estimate! > (what === 'KL at the end' ? 1 : 0);
    return `${arm} has ${isMore ? 'more' : 'less'} ${what} than ${baseArm}`;
  });
  const atEqualKl = findings.some(({ what }) => what === 'gold at equal KL');
  return [
    `gold rises in ${rises.length} of ${runs.length} runs`,
    findings.length === 0
      ? `no difference between the arms is told apart from noise by ${sets} sets of pairs`
      : `told apart from noise by ${sets} sets of pairs: ${told.join('; ')}`,
    ...(atEqualKl || findings.length === 0 ? [] : ['at equal KL none has more gold than noise']),
  ];
}
