/**
 * `${NAME}` in a recipe: a variable of the environment that stands for a path on this machine, or for the address of
 * MLflow. A recipe keeps the text, so that run folders, digests and messages show it and a run can be repeated where
 * the path is another one; the value is taken where a file is opened. It is sent nowhere: a recipe may be a stranger's.
 */
import { existsSync } from 'node:fs';
import { isAbsolute, normalize, resolve } from 'node:path';
import { shortened, UserError } from '../errors.js';
import { mapTexts } from '../formats/index.js';
import { hiding, shortestKey, withoutPasswords } from '../secrets.js';
import type { Recipe } from './recipe.js';

export type Environment = Readonly<Record<string, string | undefined>>;

/** The keys whose texts are places on this machine. */
const pathKeys = [
  'model',
  'adapter.resumeFrom',
  'reference.model',
  'data.train',
  'data.validation',
  'data.chatTemplate',
] as const;
/** The key whose text is an address; one that is refused may have a password in it. */
export const addressKey = 'log.mlflow';

const reference = /\$\{([^}]*)\}/g;
const whole = /^\$\{\w+\}$/;

const isPathKey = (key: string, text: string) =>
  pathKeys.some((one) => one === key) && (key !== 'data.chatTemplate' || text.endsWith('.jinja'));

/**
 * The key of a recipe that a value at a path belongs to: an item of a list, and a source with a weight, to their list.
 */
const keyOf = (path: readonly PropertyKey[]) =>
  path
    .filter((part) => typeof part !== 'number')
    .join('.')
    .replace(/^(data\.train)\..*/, '$1');

/**
 * What is wrong with the variables that a text of a recipe names, in sentences: their place, or that they are not set.
 */
export function variableProblems(path: readonly PropertyKey[], text: string, env: Environment): string[] {
  const names = [...text.matchAll(reference)];
  if (names.length === 0) return [];
  const key = keyOf(path);
  if (key === addressKey && !whole.test(text)) {
    return [`a variable may be the whole address, not a part of one: write \${NAME} alone, or the address itself`];
  }
  if (key !== addressKey && !isPathKey(key, text)) {
    const places = `${pathKeys.slice(0, -1).join(', ')}, a .jinja file in data.chatTemplate, and the whole of ${addressKey}`;
    return [`${names[0]![0]} is not replaced here: variables stand for paths, in ${places}; write the value itself`];
  }
  return names.flatMap(([written, name]) => {
    const value = env[name!];
    if (value) return [];
    if (!/^\w+$/.test(name!)) {
      return [`${written} names no environment variable: write \${NAME}, with letters, digits and _`];
    }
    const state = value === undefined ? 'not set' : 'empty';
    return [`${written} is ${state} in the environment: set ${name}, or write the value itself`];
  });
}

/**
 * A text of a recipe with what its variables stand for. Errors: UserError, which shows the variable and never its
 * value, for one that is not set, that stands for nothing on this machine, or in log.mlflow for what is no address.
 */
export function textHere(key: string, text: string, env: Environment = process.env): string {
  if (text.search(reference) === -1 || (key !== addressKey && !isPathKey(key, text))) return text;
  const [problem] = variableProblems(key.split('.'), text, env);
  if (problem !== undefined) throw new UserError(`${key}: ${shortened(problem, 300)}`);
  const here = expanded(text, env);
  if (key === addressKey) {
    if (isAddress(here)) return here;
    throw new UserError(`${key}: ${text} stands for no http or https address, or for one with a password or a query`);
  }
  // What is there is no secret; what is not there may be one, and must be neither shown nor asked of the Hub.
  const place = placeOfVariables(text);
  if (!existsHere(expanded(place, env))) {
    throw new UserError(
      `${key}: ${shortened(text, 200)}: there is no file or folder ${shortened(place, 200)} on this machine: set the variable to a path, and write names on the Hub out`,
    );
  }
  return isAbsolute(here) || /^\.\.?\//.test(here) ? here : `./${here}`;
}

/** Whether a text is an http or https address without user name, password, query and fragment. */
const isAddress = (text: string) => /^https?:\/\/[^@\s?#]+$/.test(text) && URL.canParse(text);

/**
 * The recipe with what its variables stand for on this machine, for who opens what it names; nothing of it is to be
 * written. Errors: those of {@link textHere}; with `missing: 'stay'` such texts stay as they are.
 */
export function recipeHere(
  recipe: Recipe,
  { env = process.env, missing = 'refused' }: { env?: Environment; missing?: 'refused' | 'stay' } = {},
): Recipe {
  return mapTexts(recipe, (text, path) => {
    try {
      return textHere(keyOf(path), text, env);
    } catch (error) {
      if (missing === 'stay') return text;
      throw error;
    }
  });
}

/**
 * A function that gives texts back with `${NAME}` in the place of what the variables of a recipe stand for, and without
 * passwords in addresses: for messages and for what is written. A value of less than eight characters is looked for
 * where it is a path.
 */
export function concealing(recipe: object, env: Environment = process.env): (text: string) => string {
  const names = new Set<string>();
  mapTexts(recipe, (text) => {
    for (const [, name] of text.matchAll(reference)) names.add(name!);
    return text;
  });
  const secrets = [...names].flatMap((name) => {
    const shown = `\${${name}}`;
    return spellings(env[name] ?? '').map((value) => ({ value, shown }));
  });
  const hide = hiding(secrets);
  return (text) => withoutPasswords(hide(text));
}

/** A value as messages write it: as it is, as `join` and `resolve` write paths, as the host of an address. */
function spellings(value: string): string[] {
  return [value, ...(isAddress(value) ? hostsOf(new URL(value)) : [normalize(value), resolve(value)])]
    .map((one) => one.replace(/\/+$/, ''))
    .filter((one) => one.length >= shortestKey || (one.length > 3 && one.includes('/')));
}

/** A host with its port, and a name of one without; a number alone may be any server's. */
const hostsOf = ({ host, hostname }: URL) => (/[a-z].*\./i.test(hostname) ? [host, hostname] : [host]);

const expanded = (text: string, env: Environment) => text.replace(reference, (_, name: string) => env[name] ?? '');

/** The beginning of a text, up to the end of the name in which its last variable is. */
const placeOfVariables = (text: string) => /^.*\$\{[^}]*\}[^/]*/s.exec(text)![0];

/** Whether a path is there; `:split` may follow it. */
const existsHere = (path: string) => existsSync(path) || existsSync(path.replace(/:[^:/]*$/, ''));
