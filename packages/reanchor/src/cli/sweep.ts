import { join } from 'node:path';
import { UserError } from '../errors.js';
import { concealing } from '../recipe/index.js';
import { groupBy } from '../stats/index.js';
import type { PoolState, SettingSummary, SweepResult } from '../sweep/index.js';
import { numberFlag } from './flags.js';
import { printShortComparisons } from './front-comparisons.js';
import { number } from './progress.js';
import { stopOnSignals } from './signals.js';
import { duration, shellWord, type Terminal, table } from './terminal.js';

/** The flags of `sweep` as commander gives them. */
export interface SweepFlags {
  out: string;
  jobs: string;
  threads: string;
  only?: string;
  hours?: string;
}

/** The exit code of a sweep that was stopped by a signal and can be gone on with. */
const interruptedCode = 130;

/**
 * `reanchor sweep STUDY`: runs what a study asks for, prints how the arms ended and compares them. Returns the exit
 * code: 1 when a job failed, 130 when a signal stopped it.
 */
export async function sweepVerb(file: string, flags: SweepFlags, terminal: Terminal): Promise<number> {
  const jobs = numberFlag('--jobs', flags.jobs, { integer: true, min: 1 });
  const threads = numberFlag('--threads', flags.threads, { integer: true, min: 1 });
  const hours = flags.hours === undefined ? undefined : numberFlag('--hours', flags.hours, { min: 0, above: true });
  const { out, only } = flags;
  const { readStudy, settingsOf, summarise, sweep } = await import('../sweep/index.js');
  const study = await readStudy(file);
  terminal.conceal(concealing({ study, recipes: settingsOf(study).map(({ recipe }) => recipe) }));
  using stop = stopOnSignals(() => terminal.note('stopping, with checkpoints; Ctrl-C again stops at once'));
  const onChange = sweepStatus(terminal);
  try {
    const onNote = (note: string) => terminal.note(note);
    const result = await sweep({ study, out, jobs, threads, only, hours, signal: stop.signal, onChange, onNote });
    terminal.endStatus();
    for (const line of endsTable(summarise(result.rows))) terminal.result(line);
    await compareArms(result.rows, join(out, 'results.jsonl'), terminal);
    tellOutcome(result, { out, terminal });
    return stop.signal.aborted ? interruptedCode : Number(result.failed.length > 0);
  } finally {
    terminal.endStatus();
  }
}

function tellOutcome(
  { rows, failed, left, made, moved }: SweepResult,
  { out, terminal }: { out: string; terminal: Terminal },
) {
  if (moved.length > 0) {
    const where = `${moved[0]}${moved.length > 1 ? ` and ${number(moved.length - 1)} more` : ''}`;
    terminal.note(`runs of other settings than the study has now were moved to ${where}`);
  }
  for (const { title, message } of failed) terminal.note(`${terminal.colors.red('failed:')} ${title}: ${message}`);
  if (left > 0)
    terminal.note(`${number(left)} ${left === 1 ? 'run is' : 'runs are'} not done; the same command goes on from here`);
  else if (made === 0) terminal.note('all of it had been done already');
  terminal.note(`${number(rows.length)} measurements are in ${join(out, 'results.jsonl')}`);
}

/** Prints what `eval front` would say of the results, short, where two arms have two seeds each. */
async function compareArms(rows: SweepResult['rows'], file: string, terminal: Terminal): Promise<void> {
  const seeds = groupBy(rows, ({ arm }) => arm);
  const compared = [...seeds.values()].filter((some) => new Set(some.map(({ seed }) => seed)).size > 1);
  if (compared.length < 2) return;
  const quality = Object.keys(rows[0]!.scores)[0];
  if (quality === undefined) return;
  const { front } = await import('../eval/front/front.js');
  try {
    const result = await front({ runs: [{ name: file, file }], kl: 'kl', quality });
    if (!printShortComparisons(result, quality, terminal)) return;
  } catch (error) {
    // A run that has no number at all, say: the sweep itself is done.
    if (!(error instanceof UserError)) throw error;
    terminal.note(`no comparison of arms: ${error.message}`);
  }
  terminal.note(`for more: npx reanchor eval front ${shellWord(file)} --quality ${quality}`);
}

/** Shows how many jobs are done, which are at work, and the time that is left at the pace so far. */
export function sweepStatus(
  terminal: Terminal,
  now: () => number = () => performance.now(),
): (state: PoolState) => void {
  const begun = now();
  return ({ done, of, running }) => {
    const shares = [...running.values()].reduce((sum, share) => sum + share, 0);
    const parts = [`${done} of ${of} jobs`];
    if (done + shares > 0) {
      parts.push(`${duration(((of - done - shares) * (now() - begun)) / 1000 / (done + shares))} left`);
    }
    parts.push(...[...running].map(([{ title }, share]) => `${title} ${Math.round(100 * share)} %`));
    terminal.status(parts.join('  '));
  };
}

/** How the settings ended, a line each: means over seeds with their standard errors. */
export function endsTable(summaries: readonly SettingSummary[]): string[] {
  if (summaries.length === 0) return [];
  const names = Object.keys(summaries[0]!.scores);
  const keys = [...new Set(summaries.flatMap(({ key }) => Object.keys(key)))];
  const cell = ({ mean, se }: SettingSummary['kl'], digits: number) =>
    mean === null ? '' : `${mean.toFixed(digits)}${se === null ? '' : ` ± ${se.toFixed(digits)}`}`;
  const valueText = (value: unknown) => (value === undefined ? '' : JSON.stringify(value).replaceAll('"', ''));
  return table([
    ['arm', ...keys, 'seeds', ...names, 'KL'],
    ...summaries.map(({ arm, key, seeds, scores, kl }) => [
      arm,
      ...keys.map((name) => valueText(key[name])),
      String(seeds),
      ...names.map((name) => cell(scores[name]!, 2)),
      cell(kl, 1),
    ]),
  ]);
}
