import type { Command } from 'commander';
import type { WinRateFlags } from '../eval-winrate.js';
import type { Terminal } from '../terminal.js';
import { addJudgeOptions, addLocalJudgeOptions } from './judge-options.js';
import { addDrawOptions, processesOption } from './options.js';

/** Adds `reanchor eval winrate`. */
export function addWinRate(group: Command, terminal: Terminal): void {
  const winrate = group
    .command('winrate')
    .description('judge models side by side, in both orders: wins, ties and losses')
    .requiredOption('--answers <file...>', 'the answers of each model, file or name=file; two or more')
    .option('--baseline <name>', 'compare all others with this one, instead of everyone with everyone');
  addDrawOptions(winrate, '10000')
    .option('--out <file>', 'the JSONL file of verdicts to write')
    .option('--json <file>', 'write the results as JSON')
    .option('--html <file>', 'write the results and samples as a page')
    .option('--show <count>', 'the samples of each pair of models on the page', '20')
    .addOption(processesOption());
  addLocalJudgeOptions(addJudgeOptions(winrate)).action(async (flags: WinRateFlags, command: Command) => {
    const { winRateVerb } = await import('../eval-winrate.js');
    process.exitCode = await winRateVerb(flags, terminal, (name) => command.getOptionValueSource(name) === 'cli');
  });
}
