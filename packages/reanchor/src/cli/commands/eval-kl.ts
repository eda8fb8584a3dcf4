import type { Command } from 'commander';
import type { KlFlags } from '../eval-kl.js';
import type { Terminal } from '../terminal.js';
import { adapterOption, processesOption } from './options.js';

/** Adds `reanchor eval kl`. */
export function addKl(group: Command, terminal: Terminal): void {
  group
    .command('kl')
    .description('the KL divergence of a model from a reference, on answers that the model writes')
    .requiredOption('--model <folder or name>', 'the model, pi, or an adapter that names its base')
    .addOption(adapterOption('--adapter', '--model'))
    .requiredOption('--reference <folder or name>', 'the reference')
    .addOption(adapterOption('--reference-adapter', '--reference'))
    .option('--prompts <file>', 'the JSONL file of prompts to answer')
    .option('--answers <file>', "answers that the model has written, instead of --prompts: generate's file")
    .option('--samples <count>', 'the answers to each prompt (default: 1)')
    .option('--max-new-tokens <count>', 'the longest answer; the KL is that of answers cut there (default: 256)')
    .option('--temperature <number>', 'the temperature of the answers; other than 1 it is no KL (default: 1)')
    .option('--seed <number>', 'the seed of the answers (default: 0)')
    .option('--batch-size <count>', 'the answers written at once (default: 32)')
    .option('--exact', 'compare the whole distributions of every next token, too: less noise, more memory')
    .option('--chat-template <name or file>', 'what makes chats of the prompts, as in generate')
    .option('--device <device>', 'auto, cpu, cuda or cuda:N (default: auto)')
    .addOption(processesOption())
    .option('--json <file>', 'write the results as JSON')
    .action(async (flags: KlFlags) => {
      const { klVerb } = await import('../eval-kl.js');
      process.exitCode = await klVerb(flags, terminal);
    });
}
