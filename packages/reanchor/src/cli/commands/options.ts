/** Options that several commands have. */
import { type Command, Option } from 'commander';
import { recipeKey } from '../../recipe/index.js';
import { documentation } from '../../version.js';

/** An option that may be given more than once; its values in a list. */
export function repeated(flags: string, description: string): Option {
  return new Option(flags, description).argParser((item: string, all: string[]) => [...all, item]).default([], 'none');
}

/** An option that means the same as a key of the recipe, and has its default. */
export function recipeOption(flags: string, path: string): Option {
  const { description, type, default: value } = recipeKey(path)!;
  return new Option(flags, `${description}: ${type} (default: ${value})`);
}

export const modelHelp =
  'the model: a Hugging Face folder, or owner/name[@revision] on the Hub; of an adapter that names its base, that alone';

export const templateHelp =
  "what makes text of chats, and of a plain prompt a user's message: model, the name of one that is built in, a .jinja file, Jinja text, or none (default: that of the run that left the model; else the model's for chats, none for plain prompts)";

/** Adds the options of drawing prompts, and of the intervals that come of it. */
export function addDrawOptions(command: Command, resamples: string): Command {
  return command
    .option('--sample <count>', 'draw so many prompts')
    .option('--seed <number>', 'the seed of all draws', '0')
    .option('--level <share>', 'the coverage of the intervals', '0.95')
    .option('--resamples <count>', 'the resamples of the bootstrap', resamples);
}

/** The option of commands that several processes can share. */
export const processesOption = () =>
  new Option(
    '--processes <count>',
    `share the work among so many processes of this machine: ${documentation('guide/parallel.md')}`,
  );

/** The option that names the adapter on the model of another option. */
export const adapterOption = (flag: string, model: string) =>
  new Option(`${flag} <adapter>`, `the adapter on ${model}: a folder of PEFT, or owner/name[@revision] on the Hub`);
