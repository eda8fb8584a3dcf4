/** Paths of modules, such as model.layers.0.mlp.up_proj, and lists that name them by their ends. */
import { nearest } from '../recipe/index.js';

/** A name that is longer is none of a module, and to find what it is near to would take long. */
const longestName = 300;

/** What a name was meant to be, to follow a message. */
export function meant(name: string, names: Iterable<string>): string {
  const near = name.length <= longestName ? nearest(name, names) : undefined;
  return near === undefined ? '' : `; did you mean ${near}?`;
}

const suffixes = (path: string): string[] => {
  const names = path.split('.');
  return names.map((_, i) => names.slice(i).join('.'));
};

/** A path, and what comes before each of its dots: the modules that it lies in. */
export const withAncestors = (path: string): string[] => {
  const names = path.split('.');
  return names.map((_, i) => names.slice(0, i + 1).join('.'));
};

/** Whether a list has a path, or what follows a dot of it. */
export const isNamed = (path: string, list: ReadonlySet<string>): boolean =>
  suffixes(path).some((suffix) => list.has(suffix));

/** All that a list can name these paths by. */
export const namesOf = (paths: Iterable<string>): Set<string> => new Set([...paths].flatMap(suffixes));
