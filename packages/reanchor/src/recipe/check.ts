/** From a recipe as an object to a checked one: schema, rules between keys, environment. */
import { isDeepStrictEqual } from 'node:util';
import { RecipeError, shown } from '../errors.js';
import { isRecord } from '../formats/index.js';
import { withoutPasswords } from '../secrets.js';
import { recipeKeys } from './keys.js';
import { brokenRules, environmentProblems, ruleProblem, schemaProblems } from './problems.js';
import { type Recipe, type RecipeInput, recipeSchema } from './recipe.js';
import type { Environment } from './variables.js';

/** What messages call a recipe that is no file. */
const name = 'the recipe';

/**
 * The recipe in a plain object, with every default applied; a recipe that was checked before stays as it is, also with
 * keys exchanged: a default that is written out counts as left out. `${NAME}` stays as it is: `recipeHere` says what
 * it stands for.
 *
 * Errors: RecipeError with all problems, each with the path of its key, what was given, what is allowed and, for an
 * unknown name, the nearest valid one.
 */
export function checkRecipe(given: RecipeInput, env: Environment = process.env): Recipe {
  if (!isRecord(given)) {
    const what = `${shown(given)} is no recipe: give an object with at least model, method and data, or readRecipe(file)`;
    throw new RecipeError(name, [what], what);
  }
  const { extends: lower, ...own } = given as Record<string, unknown>;
  // Whether a default is written out or left out makes no difference to what a recipe says.
  const broken = brokenRules(withoutDefaults(own));
  const problems = [
    ...environmentProblems(own, env),
    ...schemaProblems(own),
    ...brokenRules(own)
      .filter((rule) => broken.includes(rule))
      .map((rule) => ruleProblem(rule, own)),
  ];
  const messages = problems.map(({ message }) => message);
  if (lower !== undefined) {
    messages.unshift('extends: it is for recipe files: spread the other recipe in this one, { ...readRecipe(file) }');
  }
  if (messages.length > 0) throw new RecipeError(name, [...new Set(messages)].map(withoutPasswords));
  return recipeSchema.parse(own);
}

/** A recipe without the keys that have their default. */
function withoutDefaults(section: Record<string, unknown>, prefix = ''): Record<string, unknown> {
  const own = Object.entries(section)
    .map(([key, value]) => {
      return [key, isRecord(value) ? withoutDefaults(value, `${prefix}${key}.`) : value] as const;
    })
    .filter(([key, value]) => !isEmpty(value) && !isDefault(`${prefix}${key}`, value));
  return Object.fromEntries(own);
}

const isEmpty = (value: unknown) => value === undefined || (isRecord(value) && Object.keys(value).length === 0);

const isDefault = (path: string, value: unknown) =>
  recipeKeys().some((key) => key.path === path && key.default !== undefined && isDeepStrictEqual(key.default, value));
