import type { Command } from 'commander';
import type { FrontFlags } from '../eval-front.js';
import type { Terminal } from '../terminal.js';

/** Adds `reanchor eval front`. */
export function addFront(group: Command, terminal: Terminal): void {
  group
    .command('front')
    .description('quality against KL: methods beside their trust-region forms, arms of a study, seed by seed')
    .argument('<runs...>', 'run folders, files of results, results.jsonl of a sweep: RUN or name=RUN')
    .option('--kl <metric>', 'the metric of evaluations that is the KL (default: kl/initial; of a study, kl)')
    .option('--quality <metric>', 'the metric, or the score of a study, that is the quality', 'rewards/accuracies')
    .option('--base <arm>', 'what all others are compared with (default: the method; of a study, its first arm)')
    .option('--at <nats...>', 'the KL to compare at (default: five places in the range that all seeds have)')
    .option('--at-least <seeds>', 'the seeds of both that have to reach a KL (default: all that they share)')
    .option('--tune-seeds <seeds...>', 'choose the best setting of each arm by these seeds')
    .option('--test-seeds <seeds...>', 'and compare what was chosen on these')
    .option('--by <metric>', 'choose by the mean of this metric at the end (default: the quality)')
    .option('--most-kl <nats>', 'choose among the settings whose mean KL at the end is at most this')
    .option('--level <share>', 'the coverage of the intervals', '0.95')
    .option('--svg <file>', 'write the chart')
    .option('--csv <file>', 'write all measurements as CSV')
    .option('--json <file>', 'write the results as JSON')
    .action(async (runs: string[], flags: FrontFlags) => {
      const { frontVerb } = await import('../eval-front.js');
      await frontVerb(runs, flags, terminal);
    });
}
