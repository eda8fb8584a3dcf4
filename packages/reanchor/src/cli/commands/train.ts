import type { Command } from 'commander';
import { recipeKeys } from '../../recipe/index.js';
import { documentation } from '../../version.js';
import { type Terminal, table } from '../terminal.js';
import type { TrainFlags } from '../train.js';
import { repeated } from './options.js';

/** Adds `reanchor train`. */
export function addTrain(program: Command, terminal: Terminal): void {
  program
    .command('train')
    .description('train a model as a recipe says')
    .argument('<recipe>', 'the recipe, a YAML file')
    .addOption(
      repeated(
        '--set <key=value>',
        "use another value for a key of the recipe, such as --set optimizer.lr=1e-6 or --set 'reference={update: hard, tau: 64}'; may be repeated, null takes a key out",
      ),
    )
    .option('--out <folder>', 'the run folder to make (default: runs/<recipe>-<date>-<time>)')
    .option(
      '--resume',
      'go on with the run in the folder that --out names, or in the newest runs/<recipe>-<date>-<time>, from its newest checkpoint',
    )
    .option('--processes <count>', `train in so many processes of this machine: ${documentation('guide/parallel.md')}`)
    .option(
      '--profile <file>',
      'write where the time of steps 2 to 4 goes, as a Chrome trace (https://ui.perfetto.dev opens it)',
    )
    .addHelpText('after', recipeHelp)
    .action(async (recipe: string, flags: TrainFlags) => {
      const { trainVerb } = await import('../train.js');
      process.exitCode = await trainVerb(recipe, flags, terminal);
    });
}

/** The keys of a recipe, a line each. */
function recipeHelp(): string {
  const keys = recipeKeys().filter((key) => !key.isSection);
  const rows = keys.map(({ path, type, isRequired, usedWith, default: value }) => [
    `  ${path}`,
    [
      type,
      value !== undefined && `(default: ${JSON.stringify(value)})`,
      isRequired && !usedWith && '(required)',
      usedWith && `(with ${usedWith.key}: ${usedWith.values.join(' | ')})`,
    ]
      .filter(Boolean)
      .join(' '),
  ]);
  return `\nKeys of a recipe:\n${table(rows, 'left').join('\n')}`;
}
