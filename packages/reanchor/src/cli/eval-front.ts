import type { EqualKl } from '../eval/front/curves.js';
import { requireWritable, writeFileAtomic } from '../formats/index.js';
import { packageVersion } from '../version.js';
import { numberFlag } from './flags.js';
import { type Terminal, table } from './terminal.js';

/** The flags of `eval front` as commander gives them. */
export interface FrontFlags {
  kl: string;
  quality: string;
  at?: string[];
  level: string;
  resamples: string;
  seed: string;
  svg?: string;
  json?: string;
}

/** `reanchor eval front`: prints the ends of runs and comparisons at equal KL; `--svg` and `--json` write them. */
export async function frontVerb(runs: readonly string[], flags: FrontFlags, terminal: Terminal): Promise<void> {
  const at = flags.at?.map((text) => numberFlag('--at', text, {}));
  const level = numberFlag('--level', flags.level, { above: true, max: 0.9999 });
  const resamples = numberFlag('--resamples', flags.resamples, { integer: true, min: 1 });
  const seed = numberFlag('--seed', flags.seed, { integer: true });
  const { kl, quality } = flags;
  for (const file of [flags.svg, flags.json]) if (file !== undefined) await requireWritable(file, 0);
  const { namedFiles } = await import('../eval/answer-sets.js');
  const { front, frontChart } = await import('../eval/front/front.js');
  const result = await front({ runs: namedFiles(runs), kl, quality, at, level, resamples, seed });

  const ends = result.runs.map(({ name, method, beta, points }) => {
    const { step, kl: end, quality: value } = points.at(-1)!;
    const numbers = [beta ?? '-', points.length, step].map(String);
    return [name, method, ...numbers, end.toFixed(4), value.toFixed(4)];
  });
  for (const line of table([['run', 'method', 'beta', 'evaluations', 'step', kl, quality], ...ends])) {
    terminal.result(line);
  }
  for (const comparison of result.comparisons) printComparison(comparison, { kl, level }, terminal);
  if (result.comparisons.length === 0) {
    terminal.note('no method stands beside a trust-region form of it: there is nothing to compare at equal KL');
  }
  if (flags.svg !== undefined) {
    await writeFileAtomic(flags.svg, frontChart(result.runs, { kl, quality }));
    terminal.note(`wrote ${flags.svg}`);
  }
  if (flags.json === undefined) return;
  const settings = { kl, quality, at, level, resamples, seed };
  const document = { evaluation: 'front', reanchor: packageVersion(), settings, ...result };
  await writeFileAtomic(flags.json, `${JSON.stringify(document, null, 1)}\n`);
  terminal.note(`wrote ${flags.json}`);
}

function printComparison(
  { method, base, along, runs, rows }: EqualKl,
  { kl, level }: { kl: string; level: number },
  terminal: Terminal,
): void {
  terminal.result('');
  const head = [
    `${method} against ${base}, along ${along}`,
    kl,
    base,
    method,
    'difference',
    `${100 * level} % interval`,
  ];
  const lines = rows.map((row) => [
    '',
    ...[row.kl, row.base, row.method].map((value) => value.toFixed(4)),
    `${row.difference < 0 ? '' : '+'}${row.difference.toFixed(4)}`,
    row.interval ? `${row.interval.low.toFixed(4)} to ${row.interval.high.toFixed(4)}` : '-',
  ]);
  for (const line of table([head, ...lines])) terminal.result(line);
  if (rows.length === 0) terminal.note(`${method} and ${base} have no KL in common along ${along}`);
  if (Math.min(runs.method, runs.base) < 2) {
    terminal.note(`intervals need two runs of each: there are ${runs.method} of ${method} and ${runs.base} of ${base}`);
  }
}
