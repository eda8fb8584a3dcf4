import type { Command } from 'commander';
import { documentation } from '../../version.js';
import type { SweepFlags } from '../sweep.js';
import type { Terminal } from '../terminal.js';

/** Adds `reanchor sweep`. */
export function addSweep(program: Command, terminal: Terminal): void {
  program
    .command('sweep')
    .description('compare recipes: run and measure all that a study asks for, a process for each run')
    .argument('<study>', `the study, a YAML file: ${documentation('guide/sweep.md')}`)
    .requiredOption('--out <folder>', 'the folder of the study; what is done in it is not done again')
    .option('--jobs <count>', 'the processes at once', '1')
    .option('--threads <count>', 'the CPU threads of each process whose recipe does not say', '1')
    .option('--only <arm>', 'run this arm alone')
    .option('--hours <count>', 'after so many hours start nothing, and end what runs with a checkpoint')
    .action(async (study: string, flags: SweepFlags) => {
      const { sweepVerb } = await import('../sweep.js');
      process.exitCode = await sweepVerb(study, flags, terminal);
    });
}
