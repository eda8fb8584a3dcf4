import { join } from 'node:path';
import type { QuickstartFlags } from './commands/quickstart.js';
import { numberFlag } from './flags.js';
import { stopOnSignals } from './signals.js';
import { duration, type Terminal, table } from './terminal.js';

/**
 * `reanchor quickstart`: the whole story on this machine in minutes; prints a table and samples. Returns the exit code:
 * 1 when it was stopped by a signal.
 */
export async function quickstartVerb(flags: QuickstartFlags, terminal: Terminal): Promise<number> {
  const seed = numberFlag('--seed', flags.seed, { integer: true });
  const threads = numberFlag('--threads', flags.threads, { integer: true, min: 1 });
  const size = flags.fast ? 'fast' : 'full';
  const out = flags.out ?? join('runs', flags.fast ? 'quickstart-fast' : 'quickstart');
  const { quickstart, quickstartSettings } = await import('../quickstart/index.js');
  using stop = stopOnSignals();
  const started = performance.now();
  let last = '';
  try {
    const results = await quickstart({
      out,
      settings: quickstartSettings[size],
      seed,
      threads,
      signal: stop.signal,
      onProgress: (stage, done) => {
        if (stage !== last) terminal.note(stage);
        last = stage;
        terminal.status(`${stage}: ${Math.round(100 * done)} %`);
      },
    });
    terminal.endStatus();
    const rows = results.flatMap(({ name, measured }) =>
      measured.map((m) => [
        name,
        `${m.step}`,
        `${m.gold.toFixed(2)} ± ${m.goldError.toFixed(2)}`,
        `${m.kl.toFixed(1)} ± ${m.klError.toFixed(1)}`,
        m.distinct2.toFixed(2),
        m.perplexity.toFixed(1),
      ]),
    );
    for (const line of table([['', 'step', 'gold reward', 'KL to SFT', 'distinct-2', 'SFT perplexity'], ...rows]))
      terminal.result(line);
    for (const { name, measured } of results) {
      terminal.result('');
      terminal.result(`${name}, after step ${measured.at(-1)!.step}:`);
      for (const { prompt, completion } of measured.at(-1)!.samples)
        terminal.result(`  ${prompt} |${completion.replaceAll('\n', ' ')}`);
    }
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
