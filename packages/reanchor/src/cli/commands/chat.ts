import type { Command } from 'commander';
import type { ChatFlags } from '../chat.js';
import type { Terminal } from '../terminal.js';
import { adapterOption, modelHelp, recipeOption, repeated } from './options.js';

/** Adds `reanchor chat`. */
export function addChat(program: Command, terminal: Terminal): void {
  program
    .command('chat')
    .description('talk with a model, or with two that answer the same turns; /help there says what can be done')
    .requiredOption('--model <model>', modelHelp)
    .addOption(adapterOption('--adapter', '--model'))
    .option('--against <model>', 'a second model, which answers every turn too; named like the first')
    .addOption(adapterOption('--against-adapter', '--against'))
    .option(
      '--chat-template <template>',
      "what makes text of the turns: model, the name of one that is built in, a .jinja file, Jinja text, or none for one text that is gone on with (default: that of the run that left the model, else the model's, else none)",
    )
    .option('--max-new-tokens <count>', 'the tokens of an answer at most', '256')
    .option('--temperature <number>', 'the divisor of the logits; 0 always takes the most probable token', '1')
    .option('--top-k <count>', 'draw from so many of the most probable tokens')
    .option('--top-p <share>', 'draw from the most probable tokens that make up this share')
    .option('--seed <number>', 'the seed of the draws of every answer', '0')
    .addOption(repeated('--stop <text>', 'a text that ends an answer; may be repeated'))
    .addOption(recipeOption('--device <device>', 'device'))
    .action(async (flags: ChatFlags) => {
      const { chatVerb } = await import('../chat.js');
      process.exitCode = await chatVerb(flags, terminal);
    });
}
