import type { Command } from 'commander';
import type { DashboardFlags } from '../dashboard.js';
import type { Terminal } from '../terminal.js';

/** Adds `reanchor dashboard`. */
export function addDashboard(program: Command, terminal: Terminal): void {
  program
    .command('dashboard')
    .description('show runs, live and finished, in a browser on this machine')
    .argument('[runs]', 'the folder of run folders', 'runs')
    .option('--port <number>', 'the port; 0 is any free one', '6060')
    .option('--host <address>', 'the address to listen on; others than this machine reach it on 0.0.0.0', '127.0.0.1')
    .option('--open', 'open a browser')
    .action(async (runs: string, flags: DashboardFlags) => {
      const { dashboardVerb } = await import('../dashboard.js');
      await dashboardVerb(runs, flags, terminal);
    });
}
