/** Which files of a data set a name asks for: a configuration, a split of it, and the files of one kind. */
import { UserError } from '../errors.js';
import type { FileListing } from '../hub/index.js';
import { filesOfOneKind, isReadable, readableEnds, someOf } from './data-file-kinds.js';
import { type CardConfig, cardConfigs, cardFiles } from './dataset-card.js';
import type { Split } from './published.js';
import { type SplitFiles, splitFiles } from './split-files.js';

export interface FileChoice {
  /** What messages call the data set; a split goes behind it. */
  name: string;
  /** `SPLIT` or `CONFIGURATION/SPLIT`; left out, the split that `split` stands for of the default configuration. */
  selection: string | undefined;
  split: Split;
  /** Whether it is a folder of the user's own, whose files may all be for validation where no name says a split. */
  isOwn?: boolean | undefined;
  /** Other names that may stand behind a colon, for messages. */
  parts?: readonly string[] | undefined;
  onNote?: ((note: string) => void) | undefined;
}

/**
 * The paths of the files of a split, in the order in which they are read. Errors: UserError for a configuration or
 * split that there is not, and for files that are not read; those of the card.
 */
export async function chooseFiles(listing: FileListing, choice: FileChoice): Promise<readonly string[]> {
  const { name, selection } = choice;
  refuseScript(name, listing.paths);
  const configs = await readCards(name, listing);
  const [configName, splitName] = parseSelection(name, selection);
  const config = pickConfig(name, configs, configName);
  const found = findSplits(name, listing.paths, config);
  const [split, files] = pickSplit(found, splitName, choice, configName);
  const { kind, files: ofKind, others } = filesOfOneKind(files);
  // Where a card names the files it means all of them; and a file is read once.
  const chosen = [...new Set(config === undefined ? ofKind : files)];
  const unread = chosen.filter((path) => !isReadable(path));
  if (unread.length > 0) {
    throw new UserError(
      `${name}: split ${split} has ${kind} files that are not read (${someOf(unread)}): make JSONL of them; what is read ends in ${readableEnds}`,
    );
  }
  if (chosen.length === 0)
    throw new UserError(`${name}: split ${split} has no data file; what is read ends in ${readableEnds}`);
  if (config === undefined && others.length > 0) {
    choice.onNote?.(
      `${name}: of split ${split} the ${kind} files are read, and not ${someOf(others)}, as Python's datasets does`,
    );
  }
  return chosen;
}

function findSplits(name: string, paths: readonly string[], config: CardConfig | undefined): SplitFiles {
  try {
    return splitFiles(paths, config ?? { folder: '', patterns: undefined });
  } catch (cause) {
    throw cause instanceof UserError ? new UserError(`${name}: ${cause.message}`, { cause }) : cause;
  }
}

async function readCards(name: string, { paths, read }: FileListing): Promise<CardConfig[]> {
  const texts: Record<string, string> = {};
  for (const file of cardFiles) if (paths.includes(file)) texts[file] = await read(file);
  return cardConfigs(texts, name);
}

/** A script may make other rows than those in the files beside it. */
function refuseScript(name: string, paths: readonly string[]): void {
  const script = `${name.replace(/@.*/s, '').split(/[\\/]/).filter(Boolean).at(-1)}.py`;
  if (!paths.includes(script)) return;
  throw new UserError(
    `${name} is made by a script, ${script}, which is not run (nor does Python's datasets): name its files one by one`,
  );
}

/** The configuration and the split of a text after a colon. */
function parseSelection(name: string, selection: string | undefined): [string | undefined, string | undefined] {
  if (selection === undefined) return [undefined, undefined];
  const slash = selection.lastIndexOf('/');
  const split = selection.slice(slash + 1);
  if (/[[\]+%]/.test(split)) {
    throw new UserError(
      `${name}:${selection}: parts and sums of splits are not read; name each split as a source of its own, data.limit reads the first rows`,
    );
  }
  if (split === '')
    throw new UserError(`${name}:${selection} names no split: write ${name}:SPLIT or ${name}:CONFIGURATION/SPLIT`);
  return [slash === -1 ? undefined : selection.slice(0, slash), split];
}

function pickConfig(name: string, configs: readonly CardConfig[], given: string | undefined): CardConfig | undefined {
  const all = configs.map((config) => config.name).join(', ') || 'default';
  if (given !== undefined) {
    const found = configs.find((config) => config.name === given);
    if (found || (configs.length === 0 && given === 'default')) return found;
    throw new UserError(`${name} has no configuration ${JSON.stringify(given)}; it has ${all}`);
  }
  if (configs.length < 2) return configs[0];
  const defaults = configs.filter((config) => config.name === 'default' || config.isDefault);
  if (defaults.length === 1) return defaults[0];
  throw new UserError(
    `${name} has ${defaults.length === 0 ? 'no' : 'more than one'} default configuration among ${all}: name one and its split, such as ${name}:${configs[0]!.name}/train`,
  );
}

function pickSplit(
  { splits, isUnsplit }: SplitFiles,
  given: string | undefined,
  choice: FileChoice,
  config: string | undefined,
): [string, readonly string[]] {
  const { split: role, isOwn = false, parts = [] } = choice;
  const isAll = isUnsplit && isOwn && role === 'validation';
  const wanted = given === undefined ? (role === 'train' || isAll ? ['train'] : ['validation', 'test']) : [given];
  const split = wanted.find((one) => splits.has(one));
  if (split !== undefined) return [split, splits.get(split)!];
  const there = [...splits].map(([one, files]) => `${one} (${someOf(files)})`).join(', ');
  const others = parts.length === 0 ? '' : ` it also has the parts ${parts.join(', ')};`;
  const names = [...splits.keys()];
  const likely = role === 'train' ? /^train/ : /^(val|test|dev|eval)/;
  const name = config === undefined ? choice.name : `${choice.name}:${config}`;
  throw new UserError(
    `${name} has no split ${wanted.join(' or ')}; its splits are ${there};${others} name one, such as ${name}${config === undefined ? ':' : '/'}${names.find((one) => likely.test(one)) ?? names[0]}`,
  );
}
