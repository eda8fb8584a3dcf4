import type { Command } from 'commander';
import type { MergeFlags } from '../merge.js';
import type { Terminal } from '../terminal.js';
import { adapterOption, recipeOption } from './options.js';

/** Adds `reanchor merge`. */
export function addMerge(program: Command, terminal: Terminal): void {
  program
    .command('merge')
    .description('write a model with its adapter merged into it, for tools that take whole models')
    .requiredOption('--model <model>', 'the model under the adapter, or an adapter that names its base')
    .addOption(adapterOption('--adapter', '--model'))
    .requiredOption('--out <folder>', 'the folder to write, which is not there, or is empty')
    .option('--dtype <type>', 'the dtype to store: fp32, bf16, fp16 or fp64 (default: that of the base as stored)')
    .addOption(recipeOption('--max-shard-size <size>', 'save.maxShardSize'))
    .option(
      '--check <file...>',
      'files of pairs or texts: tell how far log-probabilities are from those before merging',
    )
    .addOption(recipeOption('--device <device>', 'device'))
    .action(async (flags: MergeFlags) => {
      const { mergeVerb } = await import('../merge.js');
      await mergeVerb(flags, terminal);
    });
}
