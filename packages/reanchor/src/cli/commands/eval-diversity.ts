import type { Command } from 'commander';
import type { DiversityFlags } from '../eval-diversity.js';
import type { Terminal } from '../terminal.js';

/** Adds `reanchor eval diversity`. */
export function addDiversity(group: Command, terminal: Terminal): void {
  group
    .command('diversity')
    .description('how answers repeat one another and themselves: self-BLEU, distinct-n, lengths')
    .requiredOption('--answers <file...>', 'the answers of each model, file or name=file')
    .option('--json <file>', 'write the results as JSON')
    .action(async (flags: DiversityFlags) => {
      const { diversityVerb } = await import('../eval-diversity.js');
      await diversityVerb(flags, terminal);
    });
}
