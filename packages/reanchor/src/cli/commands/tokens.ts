import type { Command } from 'commander';
import type { Terminal } from '../terminal.js';
import type { TokensFlags } from '../tokens.js';
import { repeated } from './options.js';

/** Adds `reanchor tokens`. */
export function addTokens(program: Command, terminal: Terminal): void {
  program
    .command('tokens')
    .description('show the rows of a recipe token by token, and what is scored')
    .argument('[recipe]', 'the recipe, a YAML file')
    .option('--run <folder>', 'a run folder, whose recipe, chat template and date are used')
    .addOption(repeated('--set <key=value>', 'as with train'))
    .option('--rows <count>', 'the rows that are shown', '3')
    .action(async (recipe: string | undefined, flags: TokensFlags) => {
      const { tokensVerb } = await import('../tokens.js');
      await tokensVerb(recipe, flags, terminal);
    });
}
