import { fewPromptsNotes, leftOutNotes } from '../eval/answer-sets.js';
import type { ComparedRow } from '../eval/winrate/compare.js';
import { noVerdict, type WinRateResult } from '../eval/winrate/winrate.js';
import { requireWritable, writeFileAtomic } from '../formats/index.js';
import { leads } from '../parallel/together.js';
import { mostResultBytes } from '../runs/index.js';
import { packageVersion } from '../version.js';
import type { JudgeFlags, LocalJudgeFlags } from './commands/judge-options.js';
import { numberFlag } from './flags.js';
import { openPairJudge } from './open-pair-judge.js';
import { inProcesses, type ProcessesFlags, type Shared } from './processes.js';
import { type Terminal, table } from './terminal.js';

/** The flags of `eval winrate` as commander gives them. */
export interface WinRateFlags extends JudgeFlags, LocalJudgeFlags, ProcessesFlags {
  answers: string[];
  baseline?: string;
  sample?: string;
  seed: string;
  level: string;
  resamples: string;
  out?: string;
  json?: string;
  html?: string;
  show: string;
}

/**
 * `reanchor eval winrate`: prints win rates and lengths; `--out`, `--json` and `--html` write verdicts, numbers, a
 * page. Returns the exit code.
 */
export async function winRateVerb(
  flags: WinRateFlags,
  terminal: Terminal,
  isGiven: (name: string) => boolean,
): Promise<number> {
  const settings = settingsOf(flags);
  const alone =
    flags.judgeReference === undefined
      ? 'without --judge-reference no model is computed here but a judge asked'
      : undefined;
  return await inProcesses(flags, { terminal, alone }, (shared) => judge(flags, settings, shared, isGiven));
}

/** What the flags say of numbers. Errors: UsageError. */
function settingsOf(flags: WinRateFlags) {
  const sample =
    flags.sample === undefined ? undefined : numberFlag('--sample', flags.sample, { integer: true, min: 1 });
  const seed = numberFlag('--seed', flags.seed, { integer: true });
  const level = numberFlag('--level', flags.level, { above: true, max: 0.9999 });
  const resamples = numberFlag('--resamples', flags.resamples, { integer: true, min: 1 });
  const show = numberFlag('--show', flags.show, { integer: true });
  return { drawing: { sample, seed, level, resamples }, show };
}

async function judge(
  flags: WinRateFlags,
  { drawing, show }: ReturnType<typeof settingsOf>,
  shared: Shared,
  isGiven: (name: string) => boolean,
): Promise<undefined> {
  const { terminal, world } = shared;
  const files = leads(world) ? [flags.json, flags.html] : [];
  for (const file of files) if (file !== undefined) await requireWritable(file, 0);
  await using session = await openPairJudge(flags, shared, isGiven);
  if (!leads(world)) return await session.assist!();
  const { winRate } = await import('../eval/winrate/winrate.js');
  const { winRateMatrix, winRateReport } = await import('../eval/winrate/report.js');
  const { answers, baseline, out } = flags;
  const { judge, concurrency, onProgress } = session;
  const result = await winRate({ answers, judge, baseline, ...drawing, out, concurrency, onProgress });
  terminal.endStatus();
  printResult(result, drawing.level, terminal);
  if (result.names.length > 2) {
    const rows = winRateMatrix(result.names, result.pairs).map((row, i) => [
      result.names[i]!,
      ...row.map((rate) => (rate === undefined ? '' : percent(rate))),
    ]);
    for (const line of table([['row against column', ...result.names], ...rows])) terminal.result(line);
  }
  if (out !== undefined) terminal.note(`wrote ${out}`);
  const settings = { ...judge.settings, prompts: result.prompts, ...drawing };
  if (flags.json !== undefined) {
    const { text, withTexts } = resultDocument(result, settings);
    await writeFileAtomic(flags.json, text);
    terminal.note(`wrote ${flags.json}`);
    if (!withTexts) {
      const most = `${mostResultBytes >> 20} MiB`;
      terminal.note(
        `${flags.json} leaves out the texts, which would make it larger than ${most}: draw fewer with --sample`,
      );
    }
  }
  if (flags.html !== undefined) {
    const title = `Win rates: ${result.names.join(', ')}`;
    await writeFileAtomic(flags.html, winRateReport(result, { title, settings, samples: show, seed: drawing.seed }));
    terminal.note(`wrote ${flags.html}`);
  }
}

/**
 * The file of `--json`, with all texts for side-by-side reading unless it would be larger than the dashboard reads (or
 * `most` bytes).
 */
export function resultDocument(
  { names, pairs, unjudged }: Pick<WinRateResult, 'names' | 'pairs'> & Partial<Pick<WinRateResult, 'unjudged'>>,
  settings: Readonly<Record<string, unknown>>,
  most = mostResultBytes,
): { text: string; withTexts: boolean } {
  const document = (withTexts: boolean) => {
    const written = pairs.map(({ model, other, comparison, rows }) => ({
      model,
      other,
      ...comparison,
      ...(withTexts && { rows: rows.map(writtenRow) }),
    }));
    const whole = { evaluation: 'winrate', reanchor: packageVersion(), settings, names, pairs: written, unjudged };
    return `${JSON.stringify(whole, null, 1)}\n`;
  };
  // Texts near the longest string there can be would fail before they are measured.
  const characters = pairs
    .flatMap(({ rows }) => rows)
    .reduce((sum, row) => sum + row.answer.length + row.other.length, 0);
  const text = characters > most ? undefined : document(true);
  if (text !== undefined && Buffer.byteLength(text) <= most) return { text, withTexts: true };
  return { text: document(false), withTexts: false };
}

/** A judge that has no labels of its own, such as rewards, is quoted in the letters of those that have. */
function writtenRow({ prompt, answer, other, outcome, agree, verdicts }: ComparedRow) {
  const letter = (first: number | undefined) =>
    first === undefined ? undefined : first > 0.5 ? 'A' : first < 0.5 ? 'B' : 'C';
  return {
    prompt,
    answer,
    other,
    outcome,
    agree,
    verdicts: verdicts.map(({ first, label, text }) => ({ label: label ?? letter(first), text })),
  };
}

function printResult(result: WinRateResult, level: number, terminal: Terminal): void {
  for (const note of leftOutNotes(result)) terminal.note(note);
  const { pairs, unjudged, prompts } = result;
  const head = ['model', 'against', 'rows', 'prompts', 'win rate', `${100 * level} % interval`, 'sign test'];
  const countHead = ['wins', 'ties', 'losses', 'characters', 'of the other', 'longer wins'];
  const rows = pairs.map(({ model, other, comparison: c }) => [
    model,
    other,
    ...[c.n, c.bootstrap.clusters].map(String),
    percent(c.winRate),
    `${percent(c.bootstrap.low)} to ${percent(c.bootstrap.high)}`,
    c.signTest < 0.001 ? '< 0.001' : c.signTest.toFixed(3),
    ...[c.wins, c.ties, c.losses].map(String),
    c.lengths.answer.mean.toFixed(0),
    c.lengths.other.mean.toFixed(0),
    percent(c.longerWins),
  ]);
  for (const line of table([[...head, ...countHead], ...rows])) terminal.result(line);
  for (const { model, other, comparison: c } of pairs) {
    const parts = [
      `the orders disagree on ${percent(c.disagreements / c.n)}`,
      `first place preferred in ${percent(c.firstPlaceShare)}`,
      ...(c.identical > 0 ? [`${c.identical} equal answers`] : []),
      ...(c.unparsed > 0 ? [`${c.unparsed} without a verdict`] : []),
    ];
    const subject = `${model} against ${other}`;
    for (const note of [`${subject}: ${parts.join(', ')}`, ...fewPromptsNotes(subject, c.bootstrap.clusters)]) {
      terminal.note(note);
    }
  }
  for (const { model, other } of unjudged) terminal.note(`${model} against ${other}: ${noVerdict(prompts)}`);
}

const percent = (share: number) => (Number.isNaN(share) ? '-' : `${(100 * share).toFixed(1)} %`);
