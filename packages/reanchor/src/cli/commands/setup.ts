import type { Command } from 'commander';
import type { Terminal } from '../terminal.js';

/** Adds `reanchor setup`. */
export function addSetup(program: Command, terminal: Terminal): void {
  program
    .command('setup')
    .description('find or install libtorch and build the native part')
    .action(async () => {
      const { setupVerb } = await import('../setup.js');
      await setupVerb(terminal);
    });
}
