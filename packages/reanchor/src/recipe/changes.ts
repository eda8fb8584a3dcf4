/** How a recipe differs from the one that a run began with, and whether the run may go on with it. */
import { createHash } from 'node:crypto';
import { UserError } from '../errors.js';
import type { Recipe } from './recipe.js';
import { concealing } from './variables.js';

/** A key that may be changed when a run goes on: it, or the section with this name. */
interface ChangeableKey {
  key: string;
  /** Why the run is still the same run. */
  reason: string;
  /** Whether sums may be rounded otherwise from there on. */
  changesRounding?: boolean;
  /** Recipes in which the key does decide the course of the run. */
  unless?: (recipe: Recipe) => boolean;
}

/** A row's partner, or a mean inside its loss, may depend on the rows of its micro-batch. */
export const seesMicroBatches = ({ loss }: Recipe): boolean =>
  loss.over === 'microBatch' || loss.partners === 'previous';

export const changeableKeys: readonly ChangeableKey[] = [
  { key: 'threads', reason: 'the order of sums alone', changesRounding: true },
  { key: 'activationCheckpointing', reason: 'the same numbers, computed again', changesRounding: true },
  {
    key: 'batch.tokensPerMicroBatch',
    reason: 'the same sums, cut otherwise',
    changesRounding: true,
    unless: seesMicroBatches,
  },
  {
    key: 'batch.rowsPerMicroBatch',
    reason: 'the same sums, cut otherwise',
    changesRounding: true,
    unless: seesMicroBatches,
  },
  { key: 'parallel', reason: 'the same sums, by others', changesRounding: true },
  { key: 'kernels', reason: 'the same sums, in fewer passes', changesRounding: true },
  { key: 'logEvery', reason: 'what is told, not what is done' },
  { key: 'log', reason: 'where it is told' },
  { key: 'checkpoint', reason: 'what is kept' },
  { key: 'save', reason: 'the form of the final model' },
  { key: 'onDivergence', reason: 'what is done where the run would have ended' },
  { key: 'onRunaway', reason: 'whether the run ends early' },
  { key: 'stop', reason: 'whether the run ends early' },
  {
    key: 'evaluate',
    reason: 'measurements, which training does not see',
    unless: ({ reference }) => reference.update === 'plateau' && reference.metric === 'accuracy',
  },
];

/** Keys by dotted path; lists are values. */
function flatten(value: object, prefix = ''): Map<string, unknown> {
  return new Map(
    Object.entries(value).flatMap(([name, inner]): [string, unknown][] => {
      if (typeof inner !== 'object' || inner === null || Array.isArray(inner)) return [[prefix + name, inner]];
      return [...flatten(inner, `${prefix}${name}.`)];
    }),
  );
}

const ruleOf = (path: string, recipe: Recipe) =>
  changeableKeys.find(({ key, unless }) => (path === key || path.startsWith(`${key}.`)) && !unless?.(recipe));

/** The SHA-256 of all keys that decide the course of a run. */
export function recipeHash(recipe: Recipe): string {
  const decisive = [...flatten(recipe)].filter(([path, value]) => value !== undefined && !ruleOf(path, recipe));
  return sha256(decisive.sort());
}

const sha256 = (value: unknown) => createHash('sha256').update(JSON.stringify(value)).digest('hex');

/** What may differ between the processes of a run: where each computes, and where rank 0 tells it. */
const ownKeys = /^(device|log)(\.|$)/;

/** Digests of the values that all processes of a run have to have alike, by their keys. */
export function keyDigests(recipe: Recipe): Record<string, string> {
  const shared = [...flatten(recipe)].filter(([path, value]) => value !== undefined && !ownKeys.test(path));
  return Object.fromEntries(shared.map(([path, value]) => [path, sha256(value)]));
}

/** A key with another value than before, as it is written in messages. */
export interface RecipeChange {
  text: string;
  changesRounding: boolean;
  isDecisive: boolean;
}

/**
 * The keys of `recipe` that differ from those that the run in `folder` began with. Errors: UserError that names every
 * changed key, old and new value, when one of them decides the course of the run.
 */
export function recipeChanges(before: Recipe, recipe: Recipe, folder: string): RecipeChange[] {
  const [old, now] = [flatten(before), flatten(recipe)];
  const text = (value: unknown) => (value === undefined ? 'left out' : JSON.stringify(value));
  const conceal = concealing(recipe);
  const changed = [...new Set([...old.keys(), ...now.keys()])]
    .filter((path) => text(old.get(path)) !== text(now.get(path)))
    .sort()
    .map((path) => {
      const rule = ruleOf(path, before);
      const [was, is] = [text(old.get(path)), text(now.get(path))];
      // Both would be shown alike.
      const isSpelledOut = conceal(was) === is;
      const line = isSpelledOut ? `${path}: the path itself -> ${is}` : `${path}: ${was} -> ${is}`;
      return { text: line, changesRounding: rule?.changesRounding ?? false, isDecisive: rule === undefined };
    });
  if (changed.some(({ isDecisive }) => isDecisive)) {
    const lines = changed.map(({ text, isDecisive }) => `  ${text}${isDecisive ? '' : ' (this one may change)'}`);
    throw new UserError((option) =>
      [
        `the run in ${folder} cannot go on with another recipe: put these keys back, or start a run of its own without ${option('resume')}`,
        ...lines,
      ].join('\n'),
    );
  }
  return changed;
}
