import type { AdjustedComparison } from '../eval/front/compare.js';
import type { Front } from '../eval/front/front.js';
import { requireWritable, writeFileAtomic } from '../formats/index.js';
import { packageVersion } from '../version.js';
import { numberFlag } from './flags.js';
import { type Terminal, table } from './terminal.js';

/** The flags of `eval front` as commander gives them. */
export interface FrontFlags {
  kl: string;
  quality: string;
  at?: string[];
  atLeast?: string;
  level: string;
  svg?: string;
  json?: string;
}

/** `reanchor eval front`: prints the ends and bests of runs, and comparisons; `--svg` and `--json` write them. */
export async function frontVerb(runs: readonly string[], flags: FrontFlags, terminal: Terminal): Promise<void> {
  const at = flags.at?.map((text) => numberFlag('--at', text, {}));
  const atLeast =
    flags.atLeast === undefined ? undefined : numberFlag('--at-least', flags.atLeast, { integer: true, min: 1 });
  const level = numberFlag('--level', flags.level, { above: true, max: 0.9999 });
  const { kl, quality } = flags;
  for (const file of [flags.svg, flags.json]) if (file !== undefined) await requireWritable(file, 0);
  const { namedFiles } = await import('../eval/answer-sets.js');
  const { front } = await import('../eval/front/front.js');
  const settings = { kl, quality, at, level, atLeast };
  const result = await front({ runs: namedFiles(runs), ...settings });

  for (const line of table(runTable(result.runs, { kl, quality }))) terminal.result(line);
  for (const same of comparisonsOfPairs(result.comparisons)) printComparisons(same, { kl, level }, terminal);
  if (result.comparisons.length === 0) {
    terminal.note('no method stands beside a trust-region form of it: there is nothing to compare');
  } else if (result.tests > 0) {
    terminal.note(`${result.tests} differences were tested; Holm's p holds for all of them together`);
  }
  if (flags.svg !== undefined) {
    const { frontChart } = await import('../eval/front/chart.js');
    await writeFileAtomic(flags.svg, frontChart(result.runs, { kl, quality }));
    terminal.note(`wrote ${flags.svg}`);
  }
  if (flags.json === undefined) return;
  const document = { evaluation: 'front', reanchor: packageVersion(), settings, ...result };
  await writeFileAtomic(flags.json, `${JSON.stringify(document, null, 1)}\n`);
  terminal.note(`wrote ${flags.json}`);
}

function runTable(runs: Front['runs'], { kl, quality }: { kl: string; quality: string }): string[][] {
  const rows = runs.map(({ name, arm, beta, seed, points }) => {
    const best = points.reduce((a, b) => (b.quality > a.quality ? b : a));
    const evaluations = [points.at(-1)!, best].flatMap((point) => [
      String(point.step),
      point.kl.toFixed(4),
      point.quality.toFixed(4),
    ]);
    return [name, arm, String(beta ?? '-'), seed, String(points.length), ...evaluations];
  });
  const head = ['run', 'arm', 'beta', 'seed', 'evaluations', 'last step', kl, quality, 'best step', kl, quality];
  return [head, ...rows];
}

/** The comparisons of the same two arms, together. */
function comparisonsOfPairs(comparisons: readonly AdjustedComparison[]): AdjustedComparison[][] {
  const pairs = new Map<string, AdjustedComparison[]>();
  for (const one of comparisons) {
    const key = JSON.stringify([one.a, one.b]);
    pairs.set(key, [...(pairs.get(key) ?? []), one]);
  }
  return [...pairs.values()];
}

function printComparisons(
  comparisons: readonly AdjustedComparison[],
  { kl, level }: { kl: string; level: number },
  terminal: Terminal,
): void {
  const { a, b, isPaired, seeds } = comparisons[0]!;
  const pairing = isPaired ? `paired by seed (${seeds.both})` : 'unpaired, no seed in common';
  terminal.result('');
  terminal.result(`${a} against ${b}, ${pairing}`);
  const head = ['way', kl, b, a, 'difference', `${100 * level} % interval`, 'p', 'Holm', 'seeds'];
  for (const line of table([head, ...comparisons.flatMap(comparisonRows)])) terminal.result(line);
  for (const { way, rows } of comparisons) {
    if (rows.length === 0) terminal.note(`${a} and ${b} have no range of KL in common, by ${way}`);
  }
  const fewest = isPaired ? seeds.both : Math.min(seeds.ofA, seeds.ofB);
  if (fewest < 2) terminal.note(`${a} against ${b}: intervals need two seeds or more of both`);
}

function comparisonRows({ way, isPaired, seeds: all, rows }: AdjustedComparison): string[][] {
  const number = (value: number | undefined) => value?.toFixed(4) ?? '-';
  const share = (p: number | undefined) => (p === undefined ? '-' : p < 0.001 ? '< 0.001' : p.toFixed(3));
  const count = (some: number, of: number) => (some === of ? String(of) : `${some} of ${of}`);
  return rows.map(({ kl, a, b, difference, interval, p, holm, seeds }) => [
    way,
    kl === undefined ? [...new Set([b, a].map((one) => number(one?.kl)))].join(', ') : number(kl),
    number(b?.quality),
    number(a?.quality),
    difference === undefined ? '-' : `${difference < 0 ? '' : '+'}${number(difference)}`,
    interval ? `${number(interval.low)} to ${number(interval.high)}` : '-',
    ...[p, holm].map(share),
    isPaired ? count(seeds.both, all.both) : `${count(seeds.ofB, all.ofB)}, ${count(seeds.ofA, all.ofA)}`,
  ]);
}
