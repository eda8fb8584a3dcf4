/** A recipe and the ones it extends: YAML texts laid over each other. */
import { existsSync, realpathSync } from 'node:fs';
import { dirname, isAbsolute, join } from 'node:path';
import { RecipeError, shown, unreadable } from '../errors.js';
import { isBelow, isRecord } from '../formats/index.js';
import { readRecipeText, refuseOtherFile, refuseOtherText, refuseOtherValue } from './other-files.js';
import { parseYaml, type YamlText } from './yaml.js';

/** One text of a recipe. */
export interface Layer {
  file: string;
  yaml: YamlText;
}

/** Texts that one recipe may lie on; more is a mistake, or a trap. */
const maxLayers = 32;

/**
 * The texts that `extends:` of a recipe names, whole chains of them, and the recipe itself: the lowest first. Files are
 * relative to the one that names them, and lie in the folder of the recipe that is read, or below it: one from
 * elsewhere reads nothing elsewhere. Errors: RecipeError for a text that is not YAML, cannot be read, or extends
 * itself.
 */
export function recipeLayers(text: string, file: string): Layer[] {
  return textLayers(text, file, { kind: 'recipe', above: [] });
}

/** The texts of a study, as {@link recipeLayers} has them. */
export function studyLayers(text: string, file: string): Layer[] {
  return textLayers(text, file, { kind: 'study', above: [] });
}

interface LayerOptions {
  kind: 'recipe' | 'study';
  /** The files that lead to this one. */
  above: readonly string[];
}

function textLayers(text: string, file: string, { kind, above }: LayerOptions): Layer[] {
  if (kind === 'recipe') refuseOtherFile(file, text);
  const yaml = parseYaml(text);
  if (kind === 'recipe') refuseOtherValue(file, yaml.value);
  if (yaml.problems.length > 0) {
    if (kind === 'recipe' && yaml.problems[0]!.position) refuseOtherText(file, text);
    throw new RecipeError(
      file,
      yaml.problems.map(({ message, position }) => {
        return `${message} (${position ? `${file}:${position.line}:${position.column}` : file})`;
      }),
    );
  }
  if (!isRecord(yaml.value) || yaml.value.extends === undefined) return [{ file, yaml }];
  const position = yaml.locate(['extends'], 'value');
  const fail = (message: string) => {
    throw new RecipeError(file, [`extends: ${message} (${file}:${position?.line}:${position?.column})`]);
  };
  const names = [yaml.value.extends].flat();
  const chain = [...above, file];
  const root = dirname(chain[0]!);
  const lower = names.flatMap((name) => {
    if (typeof name !== 'string' || name === '') return fail(`name a ${kind} file, or a list of them`);
    const path = join(dirname(file), name);
    if (isElsewhere(name, path, root)) {
      return fail(
        `${shown(name)} lies elsewhere: a ${kind} extends files in its own folder and below; put a copy there`,
      );
    }
    if (chain.includes(path)) return fail(`${path} extends itself: ${[...chain, path].join(' -> ')}`);
    let lowerText: string;
    try {
      lowerText = readRecipeText(path);
    } catch (error) {
      return fail(`${unreadable(path, error)}: names are relative to ${dirname(file)}`);
    }
    return textLayers(lowerText, path, { kind, above: chain });
  });
  if (lower.length >= maxLayers) fail(`more than ${maxLayers} files lie on each other`);
  return [...lower, { file, yaml }];
}

/** Whether a file that a recipe names is outside of a folder, by its name or by a link. */
function isElsewhere(name: string, path: string, root: string): boolean {
  if (isAbsolute(name) || !isBelow(root, path)) return true;
  return existsSync(path) && !isBelow(realpathSync(root), realpathSync(path));
}

/** The models that a recipe file and those that it extends name, the lowest first. Errors: {@link recipeLayers}'s. */
export function modelsNamed(file: string): string[] {
  return recipeLayers(readRecipeText(file), file).flatMap(({ yaml }) =>
    isRecord(yaml.value) && typeof yaml.value.model === 'string' ? [yaml.value.model] : [],
  );
}

/**
 * The values of texts laid over each other: sections key by key, everything else replaced; `null` takes a key out. A
 * `reference:` that names its rule is replaced as a whole, since each rule has keys of its own.
 */
export function mergedLayers(layers: readonly Layer[]): unknown {
  return layers.reduce<unknown>((under, { yaml }) => {
    if (!isRecord(yaml.value)) return yaml.value;
    const { extends: _names, ...over } = yaml.value;
    return merge(under, over, []);
  }, undefined);
}

function merge(under: unknown, over: unknown, path: readonly string[]): unknown {
  if (!isRecord(over)) return over;
  const isOtherRule = path.at(-1) === 'reference' && over.update !== undefined;
  const merged = new Map(isRecord(under) && !isOtherRule ? Object.entries(under) : []);
  for (const [key, value] of Object.entries(over)) {
    if (value === null && merged.has(key)) merged.delete(key);
    else merged.set(key, merge(merged.get(key), value, [...path, key]));
  }
  // Not by assignment: a key may be called __proto__.
  return Object.fromEntries(merged);
}
