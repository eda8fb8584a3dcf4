import type { Command } from 'commander';
import type { EstimateFlags } from '../estimate.js';
import type { Terminal } from '../terminal.js';
import { repeated } from './options.js';

/** Adds `reanchor estimate`. */
export function addEstimate(program: Command, terminal: Terminal): void {
  program
    .command('estimate')
    .description('say what a recipe will take before anything starts: steps, updates of the reference, memory, FLOPs')
    .argument('<recipe>', 'the recipe, a YAML file; neither weights nor rows need to be there')
    .addOption(repeated('--set <key=value>', 'as with train'))
    .option('--devices <count>', 'the devices of which the memory is told', '1')
    .option('--json', 'print all numbers as JSON')
    .action(async (recipe: string, flags: EstimateFlags) => {
      const { estimateVerb } = await import('../estimate.js');
      await estimateVerb(recipe, flags, terminal);
    });
}
