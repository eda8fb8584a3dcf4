import type { Command } from 'commander';
import type { ExplainFlags } from '../explain.js';
import type { Terminal } from '../terminal.js';

/** Adds `reanchor explain`. */
export function addExplain(program: Command, terminal: Terminal): void {
  program
    .command('explain')
    .description('say what a key of a recipe means, what it may be, and what holds without it')
    .argument('[key]', 'the key, such as reference.alpha, or a section, such as reference (default: the list of them)')
    .option('--json', 'print it as JSON')
    .action(async (key: string | undefined, flags: ExplainFlags) => {
      const { explainVerb } = await import('../explain.js');
      explainVerb(key, flags, terminal);
    });
}
