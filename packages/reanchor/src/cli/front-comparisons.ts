/** Comparisons of arms as tables: all of them, as `eval front` prints them, or the few that end a sweep. */
import type { AdjustedComparison } from '../eval/front/compare.js';
import type { Front } from '../eval/front/front.js';
import { groupBy } from '../stats/index.js';
import { type Terminal, table } from './terminal.js';

/** Every comparison, those of the same two arms in one table. */
export function printComparisons(
  comparisons: readonly AdjustedComparison[],
  { kl, level }: { kl: string; level: number },
  terminal: Terminal,
): void {
  for (const same of comparisonsOfPairs(comparisons)) {
    const { a, b, isPaired, seeds } = same[0]!;
    const pairing = isPaired ? `paired by seed (${seeds.both})` : 'unpaired, no seed in common';
    terminal.result('');
    terminal.result(`${a} against ${b}, ${pairing}`);
    const head = ['way', kl, b, a, 'difference', `${100 * level} % interval`, 'p', 'Holm', 'seeds'];
    const rows = same.flatMap(cellsOf).map((row) => {
      return [row.way, row.kl, row.b, row.a, row.difference, row.interval, row.p, row.holm, row.seeds];
    });
    for (const line of table([head, ...rows])) terminal.result(line);
    for (const { way, rows } of same) {
      if (rows.length === 0) terminal.note(`${a} and ${b} have no range of KL in common, by ${way}`);
    }
    const fewest = isPaired ? seeds.both : Math.min(seeds.ofA, seeds.ofB);
    if (fewest < 2) terminal.note(`${a} against ${b}: intervals need two seeds or more of both`);
  }
}

/** So many pairs of arms are compared at the end of a sweep. */
const mostPairs = 12;

/**
 * The comparisons of ends and bests, a line each; of many pairs of arms the first ones. Nothing where no two arms have
 * two seeds each. Returns whether something was printed.
 */
export function printShortComparisons({ comparisons, tests }: Front, quality: string, terminal: Terminal): boolean {
  const short = comparisons.filter(({ way, isPaired, seeds }) => {
    return way !== 'training' && (isPaired ? seeds.both : Math.min(seeds.ofA, seeds.ofB)) >= 2;
  });
  const pairs = comparisonsOfPairs(short);
  if (pairs.length === 0) return false;
  terminal.result('');
  terminal.result(`differences in ${quality}; Holm's p holds for all ${tests} that eval front tests`);
  const rows = pairs.slice(0, mostPairs).flatMap((same) =>
    same.flatMap(({ rows, ...one }) =>
      cellsOf({ ...one, rows: rows.filter(({ difference }) => difference !== undefined) }).map((row) => {
        const pair = `${one.a} against ${one.b}${one.isPaired ? '' : ', unpaired'}`;
        return [pair, row.way, row.kl, row.difference, row.interval, row.holm, row.seeds];
      }),
    ),
  );
  const head = ['arms', 'way', 'KL', 'difference', '95 % interval', 'Holm', 'seeds'];
  for (const line of table([head, ...rows])) terminal.result(line);
  if (pairs.length > mostPairs) terminal.note(`and ${pairs.length - mostPairs} more pairs of settings`);
  return true;
}

/** The comparisons of the same two arms, together. */
const comparisonsOfPairs = (comparisons: readonly AdjustedComparison[]): AdjustedComparison[][] => [
  ...groupBy(comparisons, ({ a, b }) => JSON.stringify([a, b])).values(),
];

/** The rows of a comparison in words. */
function cellsOf({ way, isPaired, seeds: all, rows }: AdjustedComparison) {
  const number = (value: number | undefined) => value?.toFixed(4) ?? '-';
  const share = (p: number | undefined) => (p === undefined ? '-' : p < 0.001 ? '< 0.001' : p.toFixed(3));
  const count = (some: number, of: number) => (some === of ? String(of) : `${some} of ${of}`);
  return rows.map(({ kl, a, b, difference, interval, p, holm, seeds }) => ({
    way,
    kl: kl === undefined ? [...new Set([b, a].map((one) => number(one?.kl)))].join(', ') : number(kl),
    b: number(b?.quality),
    a: number(a?.quality),
    difference: difference === undefined ? '-' : `${difference < 0 ? '' : '+'}${number(difference)}`,
    interval: interval ? `${number(interval.low)} to ${number(interval.high)}` : '-',
    p: share(p),
    holm: share(holm),
    seeds: isPaired ? count(seeds.both, all.both) : `${count(seeds.ofB, all.ofB)}, ${count(seeds.ofA, all.ofA)}`,
  }));
}
