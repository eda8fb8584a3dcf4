/** What the runs of a front are called: by their method, and by what else differs between them. */
import { changeableKeys, type Recipe } from '../../recipe/index.js';

/** What is known of a run, whether from its recipe or from a file of results. */
export interface RunSettings {
  /** What trains it, such as `dpo` or `tr-dpo hard tau 32`. */
  method: string;
  /** The method that this one is a form of; its own name for a method itself. */
  base: string;
  beta: number | undefined;
  /** What the run began with; runs that share it are compared with each other. */
  seed: string;
  /** The other recipe keys that decide the run, as texts by their paths; undefined where there is no recipe. */
  keys: ReadonlyMap<string, string> | undefined;
}

export interface ArmNames {
  /** The method with all that differs but beta, over which the ends of runs make a front. */
  family: string;
  /** The family with its beta, where runs differ in beta. */
  arm: string;
  /** The part of `family` that says on what the run trained; arms that differ in it are not compared. */
  inputs: string;
}

/**
 * The names of runs, one a run. A key stands in them only where its values differ between runs. What runs begin with
 * (`model`, `data`) may differ from seed to seed, as a set of pairs a seed does; then it belongs to the seed.
 */
export function armNames(runs: readonly RunSettings[]): ArmNames[] {
  const withKeys = runs.filter(({ keys }) => keys);
  const paths = [...new Set(withKeys.flatMap(({ keys }) => [...keys!.keys()]))].sort();
  const differ = (some: readonly RunSettings[], path: string) =>
    new Set(some.map(({ keys }) => keys!.get(path))).size > 1;
  const seeds = [...new Set(withKeys.map(({ seed }) => seed))].map((seed) =>
    withKeys.filter((run) => run.seed === seed),
  );
  const told = paths.filter((path) =>
    isInput(path) ? seeds.some((some) => differ(some, path)) : differ(withKeys, path),
  );
  const hasBetas = new Set(runs.map(({ beta }) => beta)).size > 1;
  return runs.map(({ method, beta, keys }) => {
    const words = (some: readonly string[]) =>
      some.flatMap((path) => {
        const value = keys?.get(path);
        return value === undefined ? [] : [`${shortPath(path)} ${value}`];
      });
    const inputs = words(told.filter(isInput));
    const family = [method, ...words(told.filter((path) => !isInput(path))), ...inputs].join(' ');
    const arm = hasBetas && beta !== undefined ? `${family} beta ${beta}` : family;
    return { family, arm, inputs: inputs.join(' ') };
  });
}

const isInput = (path: string) => path === 'model' || path.startsWith('data.');
const shortPath = (path: string) => path.replace(/^(reference|optimizer|loss)\./, '');

/** What a recipe's method is called, and the keys that are not in that name and decide the run. */
export function settingsOf(recipe: Recipe): RunSettings {
  const { method, loss, reference } = recipe;
  const types = [loss.type ?? 'sigmoid'].flat().join('+');
  const base = method === 'dpo' && types !== 'sigmoid' ? types : method;
  const numbers = (['alpha', 'tau'] as const).flatMap((key) => {
    const value = (reference as Readonly<Record<string, unknown>>)[key];
    return value === undefined ? [] : [`${key} ${value}`];
  });
  const form = [`tr-${base}`, reference.update, ...numbers].join(' ');
  return {
    method: reference.update === 'fixed' ? base : form,
    base,
    beta: loss.beta,
    seed: String(recipe.seed),
    keys: new Map(textsOf(recipe).filter(([path]) => !isNamedElsewhere(path))),
  };
}

const elsewhere = [
  ...['method', 'seed', 'loss.type', 'loss.beta', 'reference.update', 'reference.alpha', 'reference.tau'],
  ...changeableKeys.map(({ key }) => key),
];
const isNamedElsewhere = (path: string) => elsewhere.some((key) => path === key || path.startsWith(`${key}.`));

/** The values of a recipe by dotted paths; lists are values. */
export function textsOf(value: object, prefix = ''): [path: string, text: string][] {
  return Object.entries(value).flatMap(([name, inner]): [string, string][] => {
    if (inner === undefined) return [];
    if (typeof inner === 'object' && inner !== null && !Array.isArray(inner))
      return textsOf(inner, `${prefix}${name}.`);
    return [[prefix + name, typeof inner === 'string' ? inner : JSON.stringify(inner)]];
  });
}
