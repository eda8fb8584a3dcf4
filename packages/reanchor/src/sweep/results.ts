/** What came of a study: a row for each measurement, and the ends of each setting over its seeds. */
import { existsSync } from 'node:fs';
import { readText, writeFileAtomic } from '../formats/index.js';
import { groupBy, mean, standardError } from '../stats/index.js';
import { type Estimate, type Measurement, readRunState } from './jobs.js';
import type { PlannedRun } from './plan.js';

/** A measurement of a run: a line of results.jsonl. */
export interface ResultRow extends Measurement {
  arm: string;
  /** The keys of the recipe that the arm overrides. */
  key: Record<string, unknown>;
  seed: number;
}

/** The rows of the runs that are done, in their order. */
export async function resultRows(runs: readonly PlannedRun[]): Promise<ResultRow[]> {
  const rows: ResultRow[] = [];
  for (const { setting, seed, job } of runs) {
    const state = await readRunState(job.out);
    if (state?.digest !== job.digest) continue;
    const { arm, key } = setting;
    rows.push(...(state.measurements ?? []).map((measurement) => ({ arm, key, seed, ...measurement })));
  }
  return rows;
}

/** Writes results.jsonl, unless it says so already. */
export const writeResults = (file: string, rows: readonly ResultRow[]): Promise<void> =>
  writeUnlessSame(file, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));

/** Writes a text into a file, unless it is there already. Errors: UserError. */
export async function writeUnlessSame(file: string, text: string): Promise<void> {
  if (!existsSync(file) || (await readText(file)) !== text) await writeFileAtomic(file, text);
}

/** The ends of the runs of a setting. */
export interface SettingSummary {
  arm: string;
  key: Record<string, unknown>;
  seeds: number;
  /** The mean over seeds of each score after the last step, with its standard error. */
  scores: Record<string, Estimate>;
  kl: Estimate;
}

/** The ends of each setting, in the order of rows. */
export function summarise(rows: readonly ResultRow[]): SettingSummary[] {
  const settings = groupBy(rows, ({ arm, key }) => JSON.stringify([arm, key]));
  return [...settings.values()].map((some) => {
    const ends = [...groupBy(some, ({ seed }) => seed).values()].map((run) => run.at(-1)!);
    const { arm, key, scores } = ends[0]!;
    const over = (numberOf: (row: ResultRow) => number | null) => overSeeds(ends.map(numberOf));
    const names = Object.keys(scores).map((name) => [name, over((row) => row.scores[name]!.mean)] as const);
    return { arm, key, seeds: ends.length, scores: Object.fromEntries(names), kl: over((row) => row.kl.mean) };
  });
}

function overSeeds(values: readonly (number | null)[]): Estimate {
  const known = values.filter((value) => value !== null);
  const isWhole = known.length === values.length && known.length > 0;
  return { mean: isWhole ? mean(known) : null, se: isWhole && known.length > 1 ? standardError(known) : null };
}
