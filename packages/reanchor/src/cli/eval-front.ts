import { UsageError } from '../errors.js';
import type { Choice, ChoiceOptions } from '../eval/front/choice.js';
import type { Front } from '../eval/front/front.js';
import type { SeedMean } from '../eval/front/settings.js';
import { requireWritable, writeFileAtomic } from '../formats/index.js';
import { packageVersion } from '../version.js';
import { numberFlag } from './flags.js';
import { printComparisons } from './front-comparisons.js';
import { type Terminal, table } from './terminal.js';

/** The flags of `eval front` as commander gives them. */
export interface FrontFlags {
  kl?: string;
  quality: string;
  base?: string;
  at?: string[];
  atLeast?: string;
  tuneSeeds?: string[];
  testSeeds?: string[];
  by?: string;
  mostKl?: string;
  level: string;
  svg?: string;
  csv?: string;
  json?: string;
}

/**
 * `reanchor eval front`: prints the ends and bests of runs, or of a study's arms over seeds, the choice of settings,
 * and comparisons; `--svg`, `--csv` and `--json` write them.
 */
export async function frontVerb(given: readonly string[], flags: FrontFlags, terminal: Terminal): Promise<void> {
  const at = flags.at?.map((text) => numberFlag('--at', text, {}));
  const atLeast =
    flags.atLeast === undefined ? undefined : numberFlag('--at-least', flags.atLeast, { integer: true, min: 1 });
  const level = numberFlag('--level', flags.level, { above: true, max: 0.9999 });
  const { quality, base } = flags;
  const choose = choiceOf(flags);
  for (const file of [flags.svg, flags.csv, flags.json]) if (file !== undefined) await requireWritable(file, 0);
  const { namedFiles } = await import('../eval/answer-sets.js');
  const { analyse } = await import('../eval/front/front.js');
  const { readRuns } = await import('../eval/front/read-runs.js');
  const measured = await readRuns(namedFiles(given));
  const isStudy = measured.every(({ isOfStudy }) => isOfStudy);
  const settings = { kl: flags.kl ?? (isStudy ? 'kl' : 'kl/initial'), quality, base, at, level, atLeast, choose };
  const result = analyse(measured, settings);

  if (result.choice) printChoice(result.choice, terminal);
  for (const line of table(isStudy ? armTable(result.arms, settings) : runTable(result.runs, settings))) {
    terminal.result(line);
  }
  printComparisons(result.comparisons, settings, terminal);
  tellWhatIsLeftOut(result, isStudy, terminal);
  if (flags.svg !== undefined) {
    const { frontChart } = await import('../eval/front/chart.js');
    await write(flags.svg, frontChart(result.runs, settings), terminal);
  }
  if (flags.csv !== undefined) {
    const { frontCsv } = await import('../eval/front/csv.js');
    await write(flags.csv, frontCsv(measured), terminal);
  }
  if (flags.json === undefined) return;
  const document = { evaluation: 'front', reanchor: packageVersion(), settings, ...result };
  await write(flags.json, `${JSON.stringify(document, null, 1)}\n`, terminal);
}

async function write(file: string, text: string, terminal: Terminal): Promise<void> {
  await writeFileAtomic(file, text);
  terminal.note(`wrote ${file}`);
}

function choiceOf({ tuneSeeds, testSeeds, by, mostKl: given }: FrontFlags): ChoiceOptions | undefined {
  const mostKl = given === undefined ? undefined : numberFlag('--most-kl', given, { min: 0 });
  if (tuneSeeds && testSeeds) return { tuneSeeds, testSeeds, by, mostKl };
  if (tuneSeeds || testSeeds) throw new UsageError('--tune-seeds and --test-seeds are given together');
  for (const [flag, value] of Object.entries({ '--by': by, '--most-kl': mostKl }))
    if (value !== undefined) throw new UsageError(`${flag} has no effect without --tune-seeds and --test-seeds`);
  return undefined;
}

function tellWhatIsLeftOut({ runs, comparisons, tests }: Front, isStudy: boolean, terminal: Terminal): void {
  for (const { name, points, hasEnd } of runs) {
    if (!hasEnd) terminal.note(`${name} ended without a number: its last one is of step ${points.at(-1)!.step}`);
  }
  if (comparisons.length === 0) {
    const missing = isStudy ? 'the study has one arm' : 'no method stands beside a trust-region form of it';
    terminal.note(`${missing}: there is nothing to compare`);
  } else if (tests > 0) {
    terminal.note(`${tests} differences were tested; Holm's p holds for all of them together`);
  }
}

/** The settings of each arm on the tuning seeds, and which was chosen. */
function printChoice({ by, mostKl, tuneSeeds, testSeeds, arms }: Choice, terminal: Terminal): void {
  const budget = mostKl === undefined ? '' : ` within ${mostKl} nats`;
  terminal.result(
    `chosen by ${by} at the end${budget}; tuning seeds: ${tuneSeeds.join(', ')}; test seeds: ${testSeeds.join(', ')}`,
  );
  const rows = arms.flatMap(({ method, chosen, candidates }) => {
    const tuned = candidates.map(({ arm, end }) => [
      ...[arm, meanText(end?.quality, 4), meanText(end?.kl, 2)],
      arm === chosen ? 'chosen' : end && mostKl !== undefined && end.kl.mean > mostKl ? 'beyond' : '',
    ]);
    return tuned.length > 0 ? tuned : [[chosen, '-', '-', `the only setting of ${method}`]];
  });
  for (const line of table([['setting', `end ${by}`, 'end KL', ''], ...rows])) terminal.result(line);
  terminal.result('');
}

function armTable(arms: Front['arms'], { kl, quality }: { kl: string; quality: string }): string[][] {
  const rows = arms.map(({ arm, seeds, end, best, reached }) => [
    ...[arm, String(seeds.length), meanText(end?.quality, 4), meanText(end?.kl, 2)],
    ...[meanText(best.quality, 4), meanText(best.kl, 2), reached?.toFixed(2) ?? '-'],
  ]);
  return [['arm', 'seeds', `end ${quality}`, `end ${kl}`, `best ${quality}`, `at ${kl}`, 'all reach'], ...rows];
}

/** A mean over seeds and its standard error. */
const meanText = (value: SeedMean | undefined, digits: number) =>
  value === undefined
    ? '-'
    : `${value.mean.toFixed(digits)}${value.error === undefined ? '' : ` ± ${value.error.toFixed(digits)}`}`;

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
