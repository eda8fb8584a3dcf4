/** What the card of a data set says of its files: `configs` in the YAML at the top of README.md. */
import { FormatError, shown } from '../errors.js';
import { isRecord } from '../formats/index.js';
import { parseYaml } from '../recipe/index.js';

/** A configuration of a data set, as its card describes it. */
export interface CardConfig {
  name: string;
  isDefault: boolean;
  /** The folder that its files lie in; '' for that of the data set. */
  folder: string;
  /** Patterns of files by split, in the order of the card; undefined where the names of the files say the split. */
  patterns: ReadonlyMap<string, readonly string[]> | undefined;
}

/** The files that may describe a data set; the second one's keys count before those of the first. */
export const cardFiles = ['README.md', '.huggingface.yaml'] as const;

/** A name of a split: words with dots in between. Source: `datasets`' naming.py. */
export const isSplitName = (name: string) => /^[\p{L}\p{N}_]+(\.[\p{L}\p{N}_]+)*$/u.test(name);

/** The YAML of a card is at most this long; the longest published ones, of hundreds of languages, have a tenth. */
const mostCharacters = 1 << 20;

/**
 * The configurations that cards list, by `configs`; none where they list none. `texts` are the contents of those of
 * {@link cardFiles} that there are, `set` the name of the data set. Errors: FormatError for YAML that is broken, and
 * for `configs` that Python's `datasets` refuses as well.
 */
export function cardConfigs(texts: Readonly<Record<string, string>>, set: string): CardConfig[] {
  let [configs, file]: [unknown, string] = [undefined, ''];
  for (const name of cardFiles) {
    const text = name === 'README.md' ? frontMatter(texts[name] ?? '') : texts[name];
    const { value, problems } = parseYaml(text ?? '', { mostCharacters, version: '1.1' });
    if (problems.length > 0)
      throw new FormatError(`its YAML cannot be read (${problems[0]!.message})`, { file: `${set}/${name}` });
    if (isRecord(value) && value.configs !== undefined) [configs, file] = [value.configs, `${set}/${name}`];
  }
  if (configs === undefined || configs === null) return [];
  const wrong = (what: string) => new FormatError(`configs: ${what}`, { file });
  if (!Array.isArray(configs)) throw wrong(`${shown(configs)} is not a list`);
  const found = configs.map((config: unknown) => configOf(config, wrong));
  const names = found.map(({ name }) => name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw wrong(`${shown(twice)} is listed twice`);
  return found;
}

/** The YAML between the lines `---` at the top of a Markdown text. */
function frontMatter(text: string): string {
  return /^\s*---(?:\r\n|\r|\n)([\s\S]*?)(?:\r\n|\r|\n)---[ \t]*(?:\r\n|\n|$)/.exec(text)?.[1] ?? '';
}

function configOf(config: unknown, wrong: (what: string) => FormatError): CardConfig {
  const {
    config_name: name,
    data_files: files,
    data_dir: folder = '',
    default: isDefault,
  } = isRecord(config) ? config : {};
  if (typeof name !== 'string') throw wrong(`${shown(config)} has no config_name that is text`);
  if (typeof folder !== 'string') throw wrong(`data_dir ${shown(folder)} is no folder`);
  return {
    name,
    isDefault: Boolean(isDefault),
    folder: relativePath(folder),
    patterns: files === undefined || files === null ? undefined : patternsOf(files, wrong),
  };
}

/** Patterns by split: one pattern or a list of them for `train`, or a list of { split, path }. */
function patternsOf(files: unknown, wrong: (what: string) => FormatError): Map<string, string[]> {
  const entries: unknown[] = [files].flat();
  if (entries.every((entry) => typeof entry === 'string')) return new Map([['train', entries.map(relativePath)]]);
  const patterns = new Map<string, string[]>();
  for (const entry of entries) {
    const { split, path } = isRecord(entry) ? entry : {};
    const paths = [path].flat();
    const isEntry = isRecord(entry) && Object.keys(entry).length === 2 && Array.isArray(files);
    if (!isEntry || typeof split !== 'string' || !paths.every((one) => typeof one === 'string')) {
      throw wrong(`data_files ${shown(entry)} is neither a path nor { split, path }`);
    }
    if (!isSplitName(split))
      throw wrong(`${shown(split)} is not the name of a split: letters, digits, _ and . in between`);
    if (patterns.has(split)) throw wrong(`data_files lists split ${split} twice`);
    patterns.set(split, paths.map(relativePath));
  }
  return patterns;
}

/** A path as those of a data set are written: `./data/` is `data`. */
const relativePath = (path: string) =>
  path
    .replace(/^(\.\/+)+/, '')
    .replace(/(\/\.?)+$/, '')
    .replace(/^\.$/, '');
