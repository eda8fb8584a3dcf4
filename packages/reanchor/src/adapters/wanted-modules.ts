/** Which modules an adapter_config.json speaks of, by lists of names alone. */
import { FormatError, shown } from '../errors.js';
import { isNamed, meant, namesOf, withAncestors } from './module-lists.js';
import type { Reading } from './reading.js';

/**
 * The modules that `target_modules` means; undefined where regular expressions of Python say it, and then the tensors
 * say it alone. Errors: FormatError for a name that no module has.
 */
export function wantedModules({ network, config, configFile, names }: Reading): Set<string> | undefined {
  const { targets, excluded, layersPattern } = config;
  if (typeof targets === 'string')
    return targets.toLowerCase() === 'all-linear' ? new Set(network.linear.keys()) : undefined;
  const all = [...network.linear.keys(), names.embedding, names.head];
  const known = namesOf(all);
  const unknown = targets.find((target) => !known.has(target));
  if (unknown !== undefined) {
    throw new FormatError(
      `${shown(unknown)} is no linear layer of the base, nor its embedding (${names.embedding}) or head ` +
        `(${names.head})${meant(unknown, known) || '.'} PEFT passes over such a name: take it out, or name the right base`,
      { file: configFile, where: 'target_modules' },
    );
  }
  const layers = new Set(config.layers);
  const hasPatterns = typeof excluded === 'string' || (layers.size > 0 && layersPattern.length > 0);
  if (targets.length === 0 || hasPatterns) return undefined;
  const [listed, left, saved] = [new Set(targets), new Set(excluded), new Set(config.modulesToSave)];
  const isWanted = (path: string) =>
    !isNamed(path, left) &&
    !withAncestors(path).some((module) => isNamed(module, saved)) &&
    (listed.has(path) || (isNamed(path, listed) && isInLayers(path, layers)));
  return new Set(all.filter(isWanted));
}

/** Whether the number of a path's layer is listed; without a list any is. It is the first after two names. */
function isInLayers(path: string, layers: ReadonlySet<number>): boolean {
  const number = path.split('.').find((name, i) => i >= 2 && /^\d+$/.test(name));
  return layers.size === 0 || (number !== undefined && layers.has(Number(number)));
}
