/** The linear layers that an adapter is put on, by few words. */
import { shown, UsageError } from '../errors.js';
import { isNamed, meant, namesOf } from './module-lists.js';
import { type AdaptableNetwork, headParameter, moduleOf } from './network.js';
import { withinPatternTime } from './path-patterns.js';

const allowed = 'all-linear, a list such as [q_proj, v_proj], or a regular expression of whole paths such as /.*_proj/';

/**
 * The modules that `targets` of a recipe means, in the order of the network: `all-linear`, a list of modules by the
 * ends of their paths, each of which must match one, or a regular expression of JavaScript between slashes on whole
 * paths. Errors: UsageError.
 */
export function targetModules(targets: string | readonly string[], network: AdaptableNetwork): string[] {
  const all = [...network.linear.keys()];
  if (typeof targets !== 'string') return listedModules(targets, network);
  if (targets === 'all-linear') return all;
  const [, pattern] = /^\/(.+)\/$/s.exec(targets) ?? [];
  if (pattern === undefined) throw new UsageError(`targets ${shown(targets)} is not one of ${allowed}`);
  const matching = matchingModules(pattern, all);
  if (matching.length > 0) return matching;
  throw new UsageError(`targets ${shown(targets)} matches no linear layer; one is ${all[0]}`);
}

function listedModules(targets: readonly string[], network: AdaptableNetwork): string[] {
  const all = [...network.linear.keys()];
  if (targets.length === 0) throw new UsageError(`targets is empty; it may be ${allowed}`);
  const known = namesOf(all);
  const unknown = targets.find((target) => !known.has(target));
  if (unknown !== undefined) {
    const ends = namesOf([moduleOf(network.embedding), moduleOf(headParameter(network)), 'lm_head']);
    const why = ends.has(unknown) ? 'is the embedding or the head, of which none is trained' : 'is no linear layer';
    const near = meant(unknown, known) || `; layers are ${[...shortNames(all)].join(', ')}`;
    throw new UsageError(`targets: ${shown(unknown)} ${why}${near}`);
  }
  const listed = new Set(targets);
  return all.filter((module) => isNamed(module, listed));
}

function matchingModules(pattern: string, all: readonly string[]): string[] {
  let whole: RegExp;
  try {
    whole = new RegExp(`^(?:${pattern})$`, 'u');
  } catch (cause) {
    throw new UsageError(`targets: /${pattern}/ is no regular expression: ${(cause as Error).message}`, { cause });
  }
  const matching = withinPatternTime(() => all.filter((module) => whole.test(module)));
  if (matching !== undefined) return matching;
  throw new UsageError(`targets: /${pattern}/ takes too long: repeat nothing within a repetition`);
}

const shortNames = (paths: readonly string[]) => new Set(paths.map((path) => path.slice(path.lastIndexOf('.') + 1)));

/**
 * A list that PEFT, and tools that read its folders, take for these modules: the ends of their paths where these mean
 * them alone, else the paths; sorted.
 */
export function targetNames(modules: Iterable<string>, network: AdaptableNetwork): string[] {
  const adapted = new Set(modules);
  const short = shortNames([...adapted]);
  const others = [...network.parameters.keys()].map(moduleOf).filter((module) => !adapted.has(module));
  const isUniform = ![...others, 'lm_head'].some((module) => isNamed(module, short));
  return [...(isUniform ? short : adapted)].sort();
}
