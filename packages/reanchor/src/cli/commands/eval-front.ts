import type { Command } from 'commander';
import type { FrontFlags } from '../eval-front.js';
import type { Terminal } from '../terminal.js';

/** Adds `reanchor eval front`. */
export function addFront(group: Command, terminal: Terminal): void {
  group
    .command('front')
    .description('quality against KL of several runs: methods beside their trust-region forms, seed by seed')
    .argument('<runs...>', 'run folders or files of results, RUN or name=RUN')
    .option('--kl <metric>', 'the metric of evaluations that is the KL', 'kl/initial')
    .option('--quality <metric>', 'the metric of evaluations that is the quality', 'rewards/accuracies')
    .option('--at <nats...>', 'the KL to compare at (default: five places in the range that all seeds have)')
    .option('--at-least <seeds>', 'the seeds of both that have to reach a KL (default: all that they share)')
    .option('--level <share>', 'the coverage of the intervals', '0.95')
    .option('--svg <file>', 'write the chart')
    .option('--json <file>', 'write the results as JSON')
    .action(async (runs: string[], flags: FrontFlags) => {
      const { frontVerb } = await import('../eval-front.js');
      await frontVerb(runs, flags, terminal);
    });
}
