import type { Command } from 'commander';
import type { Terminal } from '../terminal.js';

/** Adds `reanchor doctor`. */
export function addDoctor(program: Command, terminal: Terminal): void {
  program
    .command('doctor')
    .description('say what is there: libtorch, devices, threads, speed')
    .action(async () => {
      const { doctorVerb } = await import('../setup.js');
      process.exitCode = await doctorVerb(terminal);
    });
}
