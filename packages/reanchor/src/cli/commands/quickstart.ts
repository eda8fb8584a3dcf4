import type { Command } from 'commander';
import type { QuickstartFlags } from '../quickstart.js';
import type { Terminal } from '../terminal.js';

/** Adds `reanchor quickstart`. */
export function addQuickstart(program: Command, terminal: Terminal): void {
  program
    .command('quickstart')
    .description('a whole experiment in minutes: a model from nothing, pairs, DPO and TR-DPO, what came of them')
    .option(
      '--out <folder>',
      'the folder of the experiment (default: runs/quickstart); what is done in it is not done again',
    )
    .option('--fast', 'a size of seconds, for trying it out')
    .option('--seed <number>', 'the seed of all draws', '1')
    .option('--threads <count>', 'the CPU threads', '2')
    .action(async (flags: QuickstartFlags) => {
      const { quickstartVerb } = await import('../quickstart.js');
      process.exitCode = await quickstartVerb(flags, terminal);
    });
}
