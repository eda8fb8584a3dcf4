import { join } from 'node:path';
import type { Difference, QuickstartResult } from '../quickstart/index.js';
import { numberFlag } from './flags.js';
import { stopOnSignals } from './signals.js';
import { endsTable, sweepStatus } from './sweep.js';
import { duration, type Terminal, table } from './terminal.js';

/** The flags of `quickstart` as commander gives them. */
export interface QuickstartFlags {
  out?: string;
  fast?: boolean;
  seed: string;
  threads: string;
}

/**
 * `reanchor quickstart`: the whole story on this machine in minutes; prints tables, a verdict and samples. Returns the
 * exit code: 1 when it was stopped by a signal.
 */
export async function quickstartVerb(flags: QuickstartFlags, terminal: Terminal): Promise<number> {
  const seed = numberFlag('--seed', flags.seed, { integer: true, min: 0, max: 2 ** 32 - 100 });
  const threads = numberFlag('--threads', flags.threads, { integer: true, min: 1 });
  const out = flags.out ?? join('runs', flags.fast ? 'quickstart-fast' : 'quickstart');
  const { quickstart } = await import('../quickstart/index.js');
  using stop = stopOnSignals();
  const started = performance.now();
  try {
    const result = await quickstart({
      ...{ out, size: flags.fast ? 'fast' : 'full', seed, threads, signal: stop.signal },
      onChange: sweepStatus(terminal),
    });
    terminal.endStatus();
    await tell(result, terminal);
    if (flags.fast)
      terminal.note('at this size no model learns enough for its numbers to mean something: leave out --fast');
    terminal.note(
      `${duration((performance.now() - started) / 1000)}; everything is in ${out}, the picture in ${join(out, 'gold-against-kl.svg')}`,
    );
    return 0;
  } catch (error) {
    if (!stop.signal.aborted) throw error;
    terminal.endStatus();
    terminal.note(`${stop.signal.reason.message}; the same command goes on from here: what is done is in ${out}`);
    return 1;
  } finally {
    terminal.endStatus();
  }
}

async function tell({ rows, differences, verdict, examples }: QuickstartResult, terminal: Terminal): Promise<void> {
  const { readAnswers, summarise } = await import('../sweep/index.js');
  const { mean, se } = rows[0]!.scores.gold!;
  terminal.result(`the SFT model: gold ${mean?.toFixed(2)} ± ${se?.toFixed(2)} over prompts`);
  terminal.result('after the last step, mean over sets of pairs ± standard error:');
  for (const line of endsTable(summarise(rows))) terminal.result(line);
  terminal.result('');
  for (const line of differenceTable(differences)) terminal.result(line);
  terminal.result('');
  for (const line of verdict) terminal.result(line);
  const last = rows.at(-1)!.step;
  for (const { arm, run } of examples) {
    terminal.result('');
    terminal.result(`${arm}, after step ${last}, first set of pairs:`);
    for (const { prompt, completion } of (await readAnswers(run, last)).slice(0, 3))
      terminal.result(`  ${String(prompt)} |${completion.replaceAll('\n', ' ')}`);
  }
}

function differenceTable(differences: readonly Difference[]): string[] {
  const told = (value: number, what: Difference['what']) =>
    what === 'KL at the end' ? `x ${value.toFixed(2)}` : `${value < 0 ? '' : '+'}${value.toFixed(2)}`;
  return table([
    ['against DPO, paired by set', 'of', 'difference', '95 % interval', 'p', ''],
    ...differences.map(({ arm, what, kl, estimate, interval, p, isFinding }) => [
      arm,
      kl === undefined ? what : `${what} (${kl})`,
      estimate === undefined ? 'not reached by all' : told(estimate, what),
      interval ? `${told(interval.low, what)} to ${told(interval.high, what)}` : '-',
      p === undefined ? '-' : p < 0.001 ? '< 0.001' : p.toFixed(3),
      isFinding ? 'finding' : 'noise',
    ]),
  ]);
}
