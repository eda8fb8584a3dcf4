import type { Command } from 'commander';
import type { GenerateFlags } from '../generate.js';
import type { Terminal } from '../terminal.js';
import { adapterOption, modelHelp, processesOption, recipeOption, repeated, templateHelp } from './options.js';

/** Adds `reanchor generate`. */
export function addGenerate(program: Command, terminal: Terminal): void {
  program
    .command('generate')
    .description('write completions of prompts, or stream that of one')
    .option('--model <model>', modelHelp)
    .addOption(adapterOption('--adapter', '--model'))
    .option('--run <folder>', 'a run folder: its model unless another one is named, its chat template and date')
    .option(
      '--prompts <file>',
      'the JSONL file (also .gz) of rows {"prompt": text}, or {"messages": [{"role", "content"}, ...]} to be answered',
    )
    .option(
      '--out <file>',
      'the JSONL file to write, one line per completion; until all are done they are kept in <file>.partial, from which the same command goes on',
    )
    .option('--prompt <text>', 'one prompt, whose completion goes to stdout as it is written')
    .option('--chat-template <template>', templateHelp)
    .option('--max-new-tokens <count>', 'the tokens of a completion at most', '256')
    .option('--temperature <number>', 'the divisor of the logits; 0 always takes the most probable token', '1')
    .option('--top-k <count>', 'draw from so many of the most probable tokens')
    .option('--top-p <share>', 'draw from the most probable tokens that make up this share')
    .option('--samples <count>', 'the completions of each prompt', '1')
    .option('--seed <number>', 'the seed of all draws', '0')
    .option('--batch-size <count>', 'the completions that are written at once', '32')
    .addOption(repeated('--stop <text>', 'a text that ends a completion; may be repeated'))
    .addOption(recipeOption('--device <device>', 'device'))
    .addOption(processesOption())
    .action(async (flags: GenerateFlags) => {
      const { generateVerb } = await import('../generate.js');
      process.exitCode = await generateVerb(flags, terminal);
    });
}
