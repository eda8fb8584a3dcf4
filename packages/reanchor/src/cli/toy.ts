import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '../formats/index.js';
import type { ToyFlags } from './commands/toy.js';
import { choiceFlag, numberFlag } from './flags.js';
import { type Terminal, table } from './terminal.js';

/**
 * `reanchor toy`: runs the toy experiment and prints a table of its variants; with `--json` all curves and with
 * `--plots` pictures are written.
 */
export async function toyVerb(flags: ToyFlags, terminal: Terminal): Promise<void> {
  const seeds = numberFlag('--seeds', flags.seeds, { integer: true, min: 1 });
  const steps = numberFlag('--steps', flags.steps, { integer: true, min: 1 });
  const beta = numberFlag('--beta', flags.beta, { above: true });
  const method = choiceFlag('--method', flags.method, ['dpo', 'ipo', 'kto']);
  const variants = choiceFlag('--variants', flags.variants, ['few', 'all']);
  const { runToy, toyVariants, summarise, curves, toyPlots } = await import('../toy/index.js');
  const runs = await runToy({
    seeds,
    steps,
    method,
    beta,
    variants: toyVariants[variants],
    onProgress: (done, of) => terminal.status(`toy, ${method}: ${Math.floor((100 * done) / of)} %`),
  });
  terminal.endStatus();
  const summaries = runs.map(summarise);
  const rows = summaries.map((s) => [
    s.variant,
    `${s.chosen.toFixed(2)} ± ${s.chosenError.toFixed(2)}`,
    s.rejected.toFixed(2),
    s.ood.toFixed(2),
    s.worstChosen.toFixed(2),
    s.peakOod.toFixed(2),
    s.klSft.toFixed(2),
  ]);
  const head = [
    `${method}, beta ${beta}`,
    'chosen',
    'rejected',
    'never seen',
    'worst chosen',
    'most never seen',
    'KL to SFT',
  ];
  for (const line of table([head, ...rows])) terminal.result(line);
  terminal.note(`probabilities after ${steps} steps, means over ${seeds} seeds ± standard error; KL in nats`);
  if (flags.json !== undefined) {
    const data = {
      method,
      beta,
      seeds,
      steps,
      summaries,
      curves: runs.map((run) => ({ variant: run.variant.name, ...curves(run) })),
    };
    await writeFileAtomic(flags.json, `${JSON.stringify(data)}\n`);
    terminal.note(`wrote ${flags.json}`);
  }
  if (flags.plots !== undefined) {
    await mkdir(flags.plots, { recursive: true });
    const plots = toyPlots(runs, method);
    for (const [name, svg] of plots) await writeFileAtomic(join(flags.plots, name), svg);
    terminal.note(`wrote ${plots.size} pictures to ${flags.plots}`);
  }
}
