import type { Command } from 'commander';
import type { LogpsFlags } from '../eval-logps.js';
import type { Terminal } from '../terminal.js';
import { processesOption, recipeOption } from './options.js';

/** Adds `reanchor eval logps`. */
export function addLogps(group: Command, terminal: Terminal): void {
  group
    .command('logps')
    .description(
      'mean log-probabilities of chosen and rejected answers under the checkpoints of a run, and their change',
    )
    .argument(
      '<models...>',
      'run folders, folders of models and adapters, or names on the Hub, MODEL or name=MODEL; the first is compared with',
    )
    .option('--base <model>', 'the model that the adapters among them are on (default: the one that each names)')
    .requiredOption('--data <file...>', 'the JSONL files (also .gz) of preference pairs')
    .addOption(recipeOption('--max-length <tokens>', 'data.maxLength'))
    .addOption(recipeOption('--format <form>', 'data.format'))
    .option('--chat-template <name or file>', 'what makes chats of the rows, as in score')
    .option('--keep-identical', 'score pairs whose two completions are identical too')
    .option('--seed <number>', 'the seed of all draws', '0')
    .option('--level <share>', 'the coverage of the intervals', '0.95')
    .option('--resamples <count>', 'the resamples of the bootstrap', '10000')
    .addOption(recipeOption('--device <device>', 'device'))
    .addOption(processesOption())
    .option('--json <file>', 'write the results as JSON')
    .action(async (models: string[], flags: LogpsFlags) => {
      const { logpsVerb } = await import('../eval-logps.js');
      process.exitCode = await logpsVerb(models, flags, terminal);
    });
}
