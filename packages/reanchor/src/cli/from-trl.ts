import { readText, writeFileAtomic } from '../formats/index.js';
import { fromTrl, trainers } from '../translate/index.js';
import { choiceFlag, numberFlag } from './flags.js';
import type { Terminal } from './terminal.js';

/** The flags of `from-trl` as commander gives them. */
export interface FromTrlFlags {
  out?: string | undefined;
  trainer?: string | undefined;
  processes?: string | undefined;
}

/** The exit code where something that changes the training could not be translated. */
const otherTraining = 3;

/**
 * `reanchor from-trl FILE`: prints the recipe of a configuration, or writes it, and tells what is not the same. Returns
 * the exit code: 0 if the training is the same in meaning, else 3.
 */
export async function fromTrlVerb(file: string, flags: FromTrlFlags, terminal: Terminal): Promise<number> {
  const trainer = flags.trainer === undefined ? undefined : choiceFlag('--trainer', flags.trainer, trainers);
  const processes =
    flags.processes === undefined ? undefined : numberFlag('--processes', flags.processes, { integer: true, min: 1 });
  const { recipe, missing, remarks, harmless } = fromTrl(await readText(file), { file, trainer, processes });
  if (flags.out === undefined) terminal.result(recipe.trimEnd());
  else await writeFileAtomic(flags.out, recipe);
  const { colors } = terminal;
  for (const { option, text } of missing) terminal.note(`${colors.red('not translated:')} ${option}: ${text}`);
  for (const { option, text } of remarks) terminal.note(`${colors.yellow('note:')} ${option}: ${text}`);
  if (harmless.length > 0) {
    terminal.note(`without effect here: ${harmless.map(({ option }) => option).join(', ')}`);
  }
  if (flags.out !== undefined) terminal.note(`wrote ${flags.out}`);
  return missing.length > 0 ? otherTraining : 0;
}
