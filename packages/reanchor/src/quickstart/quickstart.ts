/** A whole experiment on one machine in minutes: a model from nothing, pairs, three alignments, what came of them. */
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { UserError } from '../errors.js';
import { frontChart } from '../eval/front/chart.js';
import { front } from '../eval/front/front.js';
import { readText, writeFileAtomic } from '../formats/index.js';
import { parseStudy, type SweepOptions, type SweepResult, settingsOf, sweep } from '../sweep/index.js';
import { quickstartStudy, type StudyOptions } from './study.js';
import { type Difference, differences, verdict } from './verdict.js';

/** The size and the place of a {@link quickstart}. */
export interface QuickstartOptions extends StudyOptions, Pick<SweepOptions, 'onChange' | 'signal'> {
  /** The folder of the experiment; what is in it already is not done again. */
  out: string;
}

/** What a {@link quickstart} has measured, and what follows from it. */
export interface QuickstartResult {
  /** All measurements. */
  rows: SweepResult['rows'];
  differences: Difference[];
  /** The conclusion, a sentence each. */
  verdict: string[];
  /** The run of each arm on the first set of pairs. */
  examples: { arm: string; run: string }[];
}

/**
 * Makes a study ({@link quickstartStudy}) and runs it by {@link sweep}, `threads` processes at once. It leaves
 * `study.yaml`, what a sweep leaves, and `gold-against-kl.svg`, and goes on where it was stopped. Errors: UserError;
 * the signal's reason once it is aborted.
 */
export async function quickstart({ out, onChange, signal, ...options }: QuickstartOptions): Promise<QuickstartResult> {
  const file = join(out, 'study.yaml');
  const text = quickstartStudy(options);
  await mkdir(out, { recursive: true });
  if (!existsSync(file)) await writeFileAtomic(file, text);
  else if ((await readText(file)) !== text) {
    throw new UserError(
      (option) =>
        `${out} holds an experiment of another seed, size, number of threads or version: name another folder with ${option('out')}`,
    );
  }
  const study = parseStudy(text, file);
  const { rows, failed, left } = await sweep({ study, out, jobs: options.threads, onChange, signal });
  signal?.throwIfAborted();
  if (failed.length > 0) throw new UserError(`${failed[0]!.title}: ${failed[0]!.message}`);
  if (left > 0) throw new Error(`internal: ${left} runs were not made`);
  const metrics = { kl: 'kl', quality: 'gold' };
  const { runs } = await front({ runs: [{ name: '', file: join(out, 'results.jsonl') }], ...metrics });
  await writeFileAtomic(join(out, 'gold-against-kl.svg'), frontChart(runs, metrics));
  const found = differences(rows);
  const examples = settingsOf(study).map(({ arm, name }) => {
    return { arm, run: join(out, 'runs', arm, name, `seed-${options.seed}`) };
  });
  return { rows, differences: found, verdict: verdict(rows, found), examples };
}
