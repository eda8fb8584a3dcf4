import type { Command } from 'commander';
import type { PushFlags } from '../push.js';
import type { Terminal } from '../terminal.js';

/** Adds `reanchor push`. */
export function addPush(program: Command, terminal: Terminal): void {
  program
    .command('push')
    .description('send a model or an adapter to the Hugging Face Hub, with its tokenizer and its card')
    .argument('<folder>', 'the folder of a model, a checkpoint or an adapter; of a run, its final/')
    .option(
      '--to <repository>',
      'owner/name[@branch] on the Hub; made unless it is there (without --dry-run: required)',
    )
    .option('--private', 'a repository that is made is private')
    .option('--message <text>', 'the message of the commit')
    .option('--force', 'replace another model that is there')
    .option('--dry-run', 'list what would be sent, and ask nothing of the network')
    .action(async (folder: string, flags: PushFlags) => {
      const { pushVerb } = await import('../push.js');
      await pushVerb(folder, flags, terminal);
    });
}
