import type { Command } from 'commander';
import type { ScoreFlags } from '../score.js';
import type { Terminal } from '../terminal.js';
import { adapterOption, modelHelp, processesOption, recipeOption, templateHelp } from './options.js';

/** Adds `reanchor score`. */
export function addScore(program: Command, terminal: Terminal): void {
  program
    .command('score')
    .description("write each row's log-probabilities, and rewards against a reference, as JSON lines")
    .option('--model <model>', modelHelp)
    .addOption(adapterOption('--adapter', '--model'))
    .option(
      '--run <folder>',
      'a run folder: its model against what that began as, its validation files, its chat template, date and lengths, each where no other flag says otherwise',
    )
    .option('--data <file...>', 'the files of preference pairs')
    .requiredOption('--out <file>', 'the JSONL file to write, one line per row in input order')
    .option('--reference <model>', 'the reference, named like the model, for rewards')
    .addOption(adapterOption('--reference-adapter', '--reference'))
    .addOption(recipeOption('--beta <number>', 'loss.beta'))
    .addOption(recipeOption('--max-length <tokens>', 'data.maxLength'))
    .addOption(recipeOption('--format <form>', 'data.format'))
    .option('--chat-template <template>', templateHelp)
    .option('--keep-identical', 'score pairs whose two completions are identical too')
    .addOption(recipeOption('--device <device>', 'device'))
    .addOption(processesOption())
    .action(async (flags: ScoreFlags) => {
      const { scoreVerb } = await import('../score.js');
      process.exitCode = await scoreVerb(flags, terminal);
    });
}
