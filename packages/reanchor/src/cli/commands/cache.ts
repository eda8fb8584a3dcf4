import type { Command } from 'commander';
import type { CacheFlags } from '../cache.js';
import type { Terminal } from '../terminal.js';

/** Adds `reanchor cache`. */
export function addCache(program: Command, terminal: Terminal): void {
  program
    .command('cache')
    .description('list the rows that were made tokens and are kept for the next run, or delete them')
    .option('--clear', 'delete them; a run that reads them goes on')
    .option('--unused-for <days>', 'only those that no run has opened for so many days')
    .option('--json', 'print the list as JSON')
    .action(async (flags: CacheFlags) => {
      const { cacheVerb } = await import('../cache.js');
      cacheVerb(flags, terminal);
    });
}
