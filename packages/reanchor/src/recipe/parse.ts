/** From the text of a recipe to a checked one: YAML, `--set` overrides, environment, schema. */
import { existsSync, readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { RecipeError, UsageError, unreadable } from '../errors.js';
import { isRecord } from '../formats/index.js';
import { withoutPasswords } from '../secrets.js';
import { recipeKey, recipeKeySchema } from './keys.js';
import { type Layer, mergedLayers, recipeLayers } from './layers.js';
import { nearest } from './nearest.js';
import { readRecipeText } from './other-files.js';
import {
  environmentProblems,
  type Problem,
  pathText,
  problemsOf,
  unknownKeyMessage,
  valueMessage,
} from './problems.js';
import { type Recipe, recipeSchema } from './recipe.js';
import { addressKey, type Environment } from './variables.js';
import { parseYaml } from './yaml.js';

/** What changes a recipe's text on its way to a checked recipe. */
export interface ParseOptions {
  /** Overrides `a.b=value`, in order; the value is YAML. `a.b=null` takes the key out, so that its default holds. */
  set?: readonly string[];
  /** Where every `${NAME}` in a text of the recipe has to be set; the environment of the process when left out. */
  env?: Environment;
}

/**
 * The value, if it is one that a key of a recipe may have: for flags that mean the same as a key. `name` is what the
 * message calls it. Errors: UsageError.
 */
export function checkRecipeValue(path: string, value: unknown, name: string): unknown {
  const result = recipeKeySchema(path).safeParse(value);
  if (!result.success) throw new UsageError(valueMessage([name], value, recipeKey(path)!));
  return result.data;
}

interface Override {
  text: string;
  path: string[];
  value: unknown;
}

/**
 * The recipe in a file, with every default applied.
 *
 * Errors: UsageError for a file that cannot be read; RecipeError as in {@link parseRecipe}.
 */
export function readRecipe(file: string, options: ParseOptions = {}): Recipe {
  let text: string;
  try {
    text = readRecipeText(file);
  } catch (error) {
    throw notRead(file, error as NodeJS.ErrnoException);
  }
  return parseRecipe(text, { file, ...options });
}

/**
 * The recipe in a YAML text, with every default applied, laid over the recipes that its key `extends` names. `file` is
 * its name in messages, and what those names are relative to. `${NAME}` stays as it is: `recipeHere` says what it
 * stands for.
 *
 * Errors: RecipeError with all problems, each with the path of its key, what was given, what is allowed, its place
 * (`file:line:column` or the `--set`) and, for an unknown name, the nearest valid one.
 */
export function parseRecipe(
  text: string,
  { file, set = [], env = process.env }: ParseOptions & { file: string },
): Recipe {
  const layers = recipeLayers(text, file);
  const values = mergedLayers(layers);
  if (!isRecord(values))
    throw new RecipeError(file, [`the file is empty: a recipe has at least model, method, data (${file})`]);

  const messages: string[] = [];
  const overrides = set.flatMap((item) => parseOverride(item, messages));
  const given = overrides.reduce(applyOverride, structuredClone(values)) as Record<string, unknown>;
  const problems: Problem[] = environmentProblems(given, env);
  const named = new Set(problems.map(({ path }) => pathText(path)));
  problems.push(...problemsOf(given).filter(({ path }) => !named.has(pathText(path))));

  const placed = problems.map((problem) => ({ problem, ...placeOf(problem, layers, overrides, file) }));
  placed.sort((a, b) => a.order - b.order);
  messages.push(...placed.map(({ problem, where }) => `${problem.message} (${where})`));
  if (messages.length > 0) throw new RecipeError(file, messages.map(withoutPasswords));
  return recipeSchema.parse(given);
}

function parseOverride(item: string, messages: string[]): Override[] {
  const equals = item.indexOf('=');
  const path = item.slice(0, equals).trim().split('.');
  // An address that is wrong may have a password in it.
  const hasAddress = `${addressKey}.`.startsWith(`${path.join('.')}.`);
  const text = `--set ${hasAddress ? `${path.join('.')}=...` : item}`;
  if (equals < 1) {
    messages.push(`${text}: write --set key=value, such as --set optimizer.lr=1e-6`);
    return [];
  }
  if (path[0] === 'extends') {
    messages.push(`extends: it is for recipe files: write it into one, or set the keys themselves (${text})`);
    return [];
  }
  if (!recipeKey(path.join('.'))) {
    const parent = recipeKey(path.slice(0, -1).join('.'));
    const message =
      parent && !parent.isSection
        ? `${parent.path}: has no keys of its own: set it as a whole, to ${parent.type}`
        : unknownKeyMessage(path);
    messages.push(`${message} (${text})`);
    return [];
  }
  const { value, problems } = parseYaml(item.slice(equals + 1));
  if (problems.length > 0 || item.slice(equals + 1).trim() === '') {
    const why = problems[0]?.message ?? 'no value; to take the key out of the recipe, set it to null';
    messages.push(`${path.join('.')}: ${why} (${text})`);
    return [];
  }
  return [{ text, path, value }];
}

/** The recipe's values with one override; where a parent is no section, the schema will say so. */
function applyOverride(values: unknown, { path, value }: Override): unknown {
  let section = values;
  for (const name of path.slice(0, -1)) {
    if (!isRecord(section)) return values;
    section[name] ??= {};
    section = section[name];
  }
  if (!isRecord(section)) return values;
  if (value === null) delete section[path.at(-1)!];
  else section[path.at(-1)!] = value;
  return values;
}

function placeOf({ path, isKey }: Problem, layers: readonly Layer[], overrides: Override[], file: string) {
  const override = overrides.findLast(({ path: set }) => set.every((name, index) => name === String(path[index])));
  if (override && override.value !== null) return { where: override.text, order: Number.POSITIVE_INFINITY };
  // The uppermost text that has the key; where none has, the uppermost that has its section.
  const holds = ({ yaml }: Layer) => has(yaml.value, path);
  const layer = layers.findLast(holds) ?? layers.findLast(({ yaml }) => yaml.locate(path, 'key')) ?? layers.at(-1)!;
  const position = layer.yaml.locate(path, isKey ? 'key' : 'value');
  return position
    ? { where: `${layer.file}:${position.line}:${position.column}`, order: position.line + position.column / 1e4 }
    : { where: file, order: 0 };
}

function has(value: unknown, [key, ...rest]: readonly PropertyKey[]): boolean {
  if (key === undefined) return true;
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return false;
  return has((value as Record<PropertyKey, unknown>)[key], rest);
}

function notRead(file: string, error: NodeJS.ErrnoException): UsageError {
  if (existsSync(join(file, 'run.json')))
    return new UsageError(`${file} is the folder of a run, and no recipe: name the recipe that it was started with`);
  if (error.code !== 'ENOENT') return new UsageError(`${unreadable(file, error)}: name a recipe, a YAML file`);
  let names: string[] = [];
  try {
    names = readdirSync(dirname(file)).filter((name) => /\.ya?ml$/.test(name));
  } catch {
    return new UsageError(`${file} does not exist, nor does the folder ${dirname(file)}: name a recipe, a YAML file`);
  }
  const near = nearest(basename(file), names);
  const next = near
    ? `did you mean ${join(dirname(file), near)}?`
    : names.length > 0
      ? `the recipes in ${dirname(file)} are ${names.sort().join(', ')}`
      : 'name a recipe, a YAML file';
  return new UsageError(`${file} does not exist: ${next}`);
}
