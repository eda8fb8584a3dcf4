import { type Command, Option } from 'commander';
import { documentation } from '../../version.js';
import type { FromTrlFlags } from '../from-trl.js';
import type { Terminal } from '../terminal.js';

/** Adds `reanchor from-trl`. */
export function addFromTrl(program: Command, terminal: Terminal): void {
  program
    .command('from-trl')
    .description('make a recipe of a configuration of TRL or axolotl, and say what of it is not the same')
    .argument(
      '<file>',
      `the configuration, YAML or JSON: ${documentation('guide/from-trl.md')}; ends with exit code 3 if something that changes the training could not be translated`,
    )
    .option('--out <recipe>', 'write the recipe into a file, in place of printing it')
    .addOption(
      new Option(
        '--trainer <name>',
        'the trainer of TRL that the file is for: dpo, kto, sft, cpo or orpo (default: as the file says)',
      ),
    )
    .option(
      '--processes <count>',
      'the processes that train with the file, each with rows of its own (default: as the file says, else 1)',
    )
    .action(async (file: string, flags: FromTrlFlags) => {
      const { fromTrlVerb } = await import('../from-trl.js');
      process.exitCode = await fromTrlVerb(file, flags, terminal);
    });
}
