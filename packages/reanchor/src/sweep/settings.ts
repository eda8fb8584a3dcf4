/** From the arms of a study to settings of a recipe: grids, arms that inherit, names of folders. */
import { RecipeError } from '../errors.js';
import { settingName } from '../eval/front/study-rows.js';
import { isRecord } from '../formats/index.js';
import { parseRecipe, type Recipe, readRecipe, recipeKey } from '../recipe/index.js';
import { type Study, stageVariable } from './study.js';

/** A key of the recipe with the value of an arm, and its place in the study. */
interface Override {
  key: string;
  value: unknown;
  place: string;
}

/** One setting of an arm: its runs differ by their seeds alone. */
export interface Setting {
  arm: string;
  /** The keys of the recipe that the arm overrides. */
  key: Record<string, unknown>;
  /** The name of its folder. */
  name: string;
  recipe: Recipe;
}

/** The settings of all arms, in their order. Errors: RecipeError with the problems of all of their recipes. */
export function settingsOf(study: Study): Setting[] {
  const problems = new Set<string>();
  const settings = new Map<string, Setting>();
  for (const arm of Object.keys(study.arms)) {
    for (const overrides of grid(armOverrides(study, arm))) {
      const key = Object.fromEntries(overrides.map((override) => [override.key, override.value]));
      const name = settingName(key);
      try {
        settings.set(`${arm}/${name}`, { arm, key, name, recipe: recipeOf(study, study.base, ['base'], overrides) });
      } catch (error) {
        if (!(error instanceof RecipeError)) throw error;
        for (const problem of error.problems) problems.add(problem);
      }
    }
  }
  if (problems.size > 0) throw new RecipeError(study.file, [...problems]);
  return [...settings.values()];
}

/** What an arm overrides, with a list of values for each key; those of the arm it inherits from first. */
function armOverrides(study: Study, arm: string): (Omit<Override, 'value'> & { values: unknown[] })[] {
  const { base, ...own } = study.arms[arm]!;
  const inherited = base === undefined ? [] : armOverrides(study, base as string);
  const given = Object.entries(own).map(([key, value]) => ({
    key,
    values: valuesOf(key, value),
    place: study.place(['arms', arm, key]),
  }));
  return [...inherited.filter(({ key }) => !(key in own)), ...given];
}

/** A list is a grid; of a key whose own value may be a list, a list of lists is. */
function valuesOf(key: string, value: unknown): unknown[] {
  if (!Array.isArray(value)) return [value];
  const takesList = /\blist of\b|^\[/.test(recipeKey(key)?.type ?? '');
  const isGrid = value.length > 0 && (!takesList || value.every(Array.isArray));
  return isGrid ? value : [value];
}

/** All combinations; the last key changes fastest. */
function grid(lists: ReturnType<typeof armOverrides>): Override[][] {
  return lists.reduce<Override[][]>(
    (rows, { values, ...rest }) => rows.flatMap((row) => values.map((value) => [...row, { ...rest, value }])),
    [[]],
  );
}

/**
 * A recipe that a study names or holds, at a path of the study, with keys overridden. `${stages.NAME}` stays in it.
 * Errors: RecipeError, with places in the study where it is the study's; UsageError for a file that cannot be read.
 */
export function recipeOf(
  study: Study,
  given: Study['base'],
  path: readonly PropertyKey[],
  overrides: readonly Override[] = [],
): Recipe {
  const env: Record<string, string | undefined> = { ...process.env };
  for (const name of Object.keys(study.stages)) env[stageVariable(name)] = name;
  const inline = typeof given === 'string' ? [] : flattened(given, study, path);
  const sets = [...inline, ...overrides].map(({ key, value, place }) => ({
    text: `${key}=${JSON.stringify(value)}`,
    place,
  }));
  const options = { set: sets.map(({ text }) => text), env };
  try {
    if (typeof given === 'string') return readRecipe(given, options);
    const text = given.extends === undefined ? '{}' : `extends: ${JSON.stringify(given.extends)}`;
    return parseRecipe(text, { file: study.file, ...options });
  } catch (error) {
    if (!(error instanceof RecipeError) || error.problems.length === 0) throw error;
    const placed = error.problems.map((problem) => {
      const set = sets.find(({ text }) => problem.endsWith(`(--set ${text})`));
      return set ? problem.replace(/\(--set .*\)$/s, `(${set.place})`) : problem;
    });
    throw new RecipeError(error.file, placed);
  }
}

/** The keys of a recipe that is written in a study; a reference is taken as a whole, as its update decides its keys. */
function flattened(
  section: Readonly<Record<string, unknown>>,
  study: Study,
  at: readonly PropertyKey[],
  prefix = '',
): Override[] {
  return Object.entries(section).flatMap(([name, value]): Override[] => {
    const key = prefix + name;
    if (key === 'extends') return [];
    const path = [...at, name];
    const isOpen = isRecord(value) && recipeKey(key)?.isSection && key !== 'reference';
    return isOpen ? flattened(value, study, path, `${key}.`) : [{ key, value, place: study.place(path) }];
  });
}
