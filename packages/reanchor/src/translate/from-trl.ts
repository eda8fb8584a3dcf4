/** A configuration of TRL or axolotl as a recipe. */
import { FormatError, UsageError } from '../errors.js';
import { isRecord } from '../formats/index.js';
import { parseYaml, problemsOf } from '../recipe/index.js';
import { axolotlAsTrl, isAxolotl } from './axolotl.js';
import { Draft, type Remark, recipeOf } from './draft.js';
import { renamed } from './older-options.js';
import { recipeText } from './render.js';
import { trainerOf, translateTrl, trlVersion } from './trl.js';
import { type Trainer, trlDefaults } from './trl-defaults.js';
import { placeholder } from './trl-model.js';

/** How a configuration is read. */
export interface TranslationOptions {
  /** The name of the file, for messages and for what it says of the trainer. */
  file: string;
  /** The trainer that the file is for; told from its content when left out. */
  trainer?: Trainer | undefined;
  /** The processes that train with it; one is assumed when left out. */
  processes?: number | undefined;
}

/** What became of a configuration. */
export interface Translation {
  /** A recipe that is valid, with comments. */
  recipe: string;
  /** What changes the training and could not be translated. */
  missing: readonly Remark[];
  /** What is the same, or of no harm, and worth knowing. */
  remarks: readonly Remark[];
  /** Options without effect here. */
  harmless: readonly Remark[];
}

/**
 * The recipe of a configuration in YAML or JSON. What the file leaves out has the default of its library, so that the
 * recipe does what the library would do.
 *
 * Errors: FormatError for a text that is no map of options; UsageError for one that does not say which trainer it is
 * for, or that is of a trainer that is no training on rows (GRPO and the like).
 */
export function fromTrl(text: string, options: TranslationOptions): Translation {
  const given = optionsOf(text, options.file);
  const draft = isAxolotl(given) ? ofAxolotl(given, options) : ofTrl(given, options);
  settle(draft.draft);
  const { missing, remarks, harmless } = draft.draft;
  return { recipe: recipeText(draft.draft, draft.head), missing, remarks, harmless };
}

function optionsOf(text: string, file: string): Map<string, unknown> {
  const { value, problems } = parseYaml(text, { version: '1.1', mostCharacters: 1 << 20 });
  const [first] = problems;
  if (first) {
    const where = first.position && `${first.position.line}:${first.position.column}`;
    throw new FormatError(first.message, { file, where });
  }
  if (!isRecord(value)) throw new FormatError('a map of options is expected, such as beta: 0.1', { file });
  return new Map(Object.entries(value));
}

/** Options by the names of TRL 1.13 where they are older ones, and what they are called in the file. */
function renamedOptions(given: ReadonlyMap<string, unknown>): {
  options: Map<string, unknown>;
  names: Map<string, string>;
} {
  const [options, names] = [new Map<string, unknown>(), new Map<string, string>()];
  for (const [name, value] of given) {
    const now = renamed[name];
    if (now === undefined || given.has(now)) options.set(name, value);
    else {
      options.set(now, value);
      names.set(now, name);
    }
  }
  return { options, names };
}

interface Drafted {
  draft: Draft;
  head: string[];
}

function ofTrl(given: Map<string, unknown>, { file, trainer: named, processes }: TranslationOptions): Drafted {
  const { trainer, why } = named ? { trainer: named, why: 'as it was asked for' } : trainerOf(given, file);
  const { options, names } = renamedOptions(given);
  const draft = new Draft(options, trlDefaults[trainer], names);
  translateTrl(draft, trainer, processes, `TRL ${trlVersion}`);
  const head = `The recipe of ${file}, arguments of TRL's ${trainer.toUpperCase()} trainer (${why}); what it leaves out is as TRL ${trlVersion} has it.`;
  return { draft, head: [head] };
}

function ofAxolotl(given: Map<string, unknown>, { file, trainer: named, processes }: TranslationOptions): Drafted {
  if (named)
    throw new UsageError((option) => `${option('trainer')} has no effect: ${file} is of axolotl, whose key rl says it`);
  const { trainer, defaults, options, names, tell } = axolotlAsTrl(given);
  const draft = new Draft(options, { ...trlDefaults[trainer], ...defaults }, names);
  translateTrl(draft, trainer, processes, 'axolotl');
  tell(draft);
  draft.settings.get('method')!.comment = 'rl';
  const head = `The recipe of ${file}, a configuration of axolotl; what it leaves out is as axolotl and TRL ${trlVersion} have it.`;
  return { draft, head: [head] };
}

/**
 * Takes out of a draft what a recipe may not have, and tells of it: limits, and rules between keys, that the other
 * library does not have. What is left is valid.
 */
function settle(draft: Draft): void {
  for (let problems = problemsOf(recipeOf(draft.settings)); problems.length > 0; ) {
    const [{ path, message }] = problems as [(typeof problems)[number]];
    const name = path.filter((part) => typeof part === 'string').join('.');
    const held = [...draft.settings.keys()].filter((key) => key === name || key.startsWith(`${name}.`));
    const taken =
      held.length > 0 ? held : [...draft.settings.keys()].filter((key) => key.startsWith(`${name.split('.')[0]}.`));
    if (taken.length === 0) throw new Error(`internal: a recipe with ${message}`);
    const origin = draft.settings.get(taken[0]!)!.comment || name;
    draft.missing.push({ option: origin, text: message });
    for (const key of taken) draft.settings.delete(key);
    if (taken.includes('model')) draft.settings.set('model', { value: placeholder('model'), comment: '' });
    if (taken.includes('data.train'))
      draft.settings.set('data.train', { value: placeholder('pairs.jsonl'), comment: '' });
    problems = problemsOf(recipeOf(draft.settings));
  }
}
