import type { Command } from 'commander';
import type { Terminal } from '../terminal.js';
import type { ToyFlags } from '../toy.js';

/** Adds `reanchor toy`. */
export function addToy(program: Command, terminal: Terminal): void {
  program
    .command('toy')
    .description("the paper's toy experiment: what alignment does to texts it never saw")
    .option('--seeds <count>', 'the random starts that are averaged', '40')
    .option('--steps <count>', 'the optimizer steps', '3000')
    .option('--beta <number>', 'the strength of the pull towards the reference', '0.5')
    .option('--method <name>', 'dpo, ipo or kto', 'dpo')
    .option('--variants <set>', 'few or all: the references that are compared', 'few')
    .option('--json <file>', 'write all curves as JSON')
    .option('--plots <folder>', 'write pictures as SVG')
    .action(async (flags: ToyFlags) => {
      const { toyVerb } = await import('../toy.js');
      await toyVerb(flags, terminal);
    });
}
