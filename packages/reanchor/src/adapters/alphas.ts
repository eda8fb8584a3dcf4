import { FormatError, shown } from '../errors.js';
import type { AdapterConfig } from './config.js';
import { pathPattern, withinPatternTime } from './path-patterns.js';

/**
 * The alpha of each module. PEFT takes the first pattern that matches, in the order of the file, and sorts the patterns
 * when it saves; so two that match one module must have one alpha. Errors: FormatError.
 */
export function alphasOf(
  { alpha, alphaPattern }: AdapterConfig,
  modules: Iterable<string>,
  file: string,
): Map<string, number> {
  const fail = (message: string): never => {
    throw new FormatError(message, { file, where: 'alpha_pattern' });
  };
  const patterns = [...alphaPattern].map(([key, value]) => {
    const pattern =
      pathPattern(key) ??
      fail(
        `${shown(key)} is not read: paths of modules are, with . * + ? | ( ) [ ] { } \\d and \\w of regular expressions`,
      );
    return { key, pattern, value };
  });
  const alphaOf = (module: string): number => {
    const matching = patterns.filter(({ pattern }) => pattern.test(module));
    const [first] = matching;
    const other = matching.find(({ value }) => value !== first!.value);
    if (!other) return first?.value ?? alpha;
    return fail(
      `${module} is matched by ${shown(first!.key)} with alpha ${first!.value}, and by ${shown(other.key)} with alpha ` +
        `${other.value}; PEFT takes the first, and does not keep their order: leave one of them`,
    );
  };
  const alphas = withinPatternTime(() => new Map([...modules].map((module) => [module, alphaOf(module)])));
  return alphas ?? fail('its patterns take too long: write the paths of modules in their place');
}
