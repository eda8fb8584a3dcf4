/**
 * The files of each split of a data set, by its card or by their names, as Python's `datasets` 5.0 finds them. Source:
 * its data_files.py and load.py; tests/fixtures/splits holds what it says of some hundred trees.
 */
import { shown, UserError } from '../errors.js';
import { isDataFile } from './data-file-kinds.js';
import { type CardConfig, isSplitName } from './dataset-card.js';
import { type GlobPath, globMatcher, globPath, hasWildcard } from './glob.js';

/**
 * The splits of a configuration in their order, each with its files in the order in which they are read; a file that
 * several patterns of a split match is there as often.
 */
export interface SplitFiles {
  splits: ReadonlyMap<string, readonly string[]>;
  /** No name of a file says a split: all of them are `train`. */
  isUnsplit: boolean;
}

/** The largest data sets have 200,000 files; the patterns of cards are some dozens. */
const mostComparisons = 1e8;

/**
 * The splits of one configuration of a data set with files at `paths`. Errors: UserError for patterns that cannot be
 * read or name a file that there is not.
 */
export function splitFiles(
  paths: readonly string[],
  { folder, patterns }: Omit<CardConfig, 'name' | 'isDefault'>,
): SplitFiles {
  const prefix = folder === '' ? '' : `${folder}/`;
  const inside = paths
    .filter((path) => path.startsWith(prefix))
    .map((path) => globPath(path.slice(prefix.length)))
    .sort((a, b) => (a.path < b.path ? -1 : 1));
  const { splits: wanted, isUnsplit } = patterns ? { splits: patterns, isUnsplit: false } : patternsByName(inside);
  const comparisons = inside.length * [...wanted.values()].flat().length;
  if (comparisons > mostComparisons) {
    throw new UserError(
      `${inside.length} files and patterns for ${comparisons} comparisons: name the files themselves`,
    );
  }
  const splits = new Map<string, string[]>();
  for (const [split, ofSplit] of wanted) {
    const files = ofSplit.flatMap((pattern) => {
      const found = matching(inside, pattern).filter(isDataFile);
      if (found.length > 0 || hasWildcard(pattern)) return found;
      throw new UserError(`split ${split} is ${shown(prefix + pattern)}, and there is no such data file`);
    });
    splits.set(
      split,
      files.map((path) => prefix + path),
    );
  }
  return { splits, isUnsplit };
}

/** Files of a data set that hold no rows, wherever they lie. */
const notRows = [
  'README.md',
  'config.json',
  'dataset_info.json',
  'dataset_infos.json',
  'dummy_data.zip',
  'dataset_dict.json',
];

function matching(paths: readonly GlobPath[], pattern: string): string[] {
  const isMatch = globMatcher(pattern);
  const lastOf = (path: string) => path.slice(path.lastIndexOf('/') + 1);
  const ignored = notRows.filter((name) => name !== lastOf(pattern));
  return paths.flatMap((one) => (isMatch(one) && !ignored.includes(lastOf(one.path)) ? [one.path] : []));
}

const keywords = {
  train: ['train', 'training'],
  validation: ['validation', 'valid', 'dev', 'val'],
  test: ['test', 'testing', 'eval', 'evaluation'],
};
const usualSplits = Object.keys(keywords);
const separator = '[-._ 0-9]';
const digits = (count: number) => '[0-9]'.repeat(count);
const shardsOf = (split: string) => `data/${split}-${digits(5)}-of-${digits(5)}*.*`;

const byKeyword = (patterns: (keyword: string) => string[]): [string, string[]][] =>
  Object.entries(keywords).map(([split, words]) => [split, words.flatMap(patterns)]);

/** Ways in which names say a split, the first before the others. */
const conventions: [string, string[]][][] = [
  [['logs', ['**/*.eval']]],
  byKeyword((word) => [
    `**/${word}/**`,
    `**/${word}${separator}*/**`,
    `**/*${separator}${word}/**`,
    `**/*${separator}${word}${separator}*/**`,
  ]),
  byKeyword((word) => [`**/${word}${separator}*`, `**/*${separator}${word}${separator}*`]),
];

/**
 * The patterns of each split that a data set without a card has: `data/SPLIT-00000-of-00003.parquet`; else a word of a
 * split in the name of a folder; else in that of a file; else all is `train`. The first of these that some file keeps
 * to holds for all.
 */
function patternsByName(paths: readonly GlobPath[]): {
  splits: ReadonlyMap<string, readonly string[]>;
  isUnsplit: boolean;
} {
  const shards = matching(paths, shardsOf('*'));
  if (shards.length > 0) {
    const names = new Set(shards.map((path) => /^data\/(.+)-\d{5}-of-\d{5}/.exec(path)![1]!));
    const wrong = [...names].find((name) => !isSplitName(name));
    if (wrong !== undefined) {
      throw new UserError(`${shown(wrong)} of ${shards[0]} is no name of a split: letters, digits, _ and . in between`);
    }
    const sorted = [
      ...usualSplits.filter((name) => names.has(name)),
      ...[...names].filter((name) => !usualSplits.includes(name)).sort(),
    ];
    return { splits: new Map(sorted.map((name) => [name, [shardsOf(name)]])), isUnsplit: false };
  }
  for (const convention of conventions) {
    const kept = convention.filter(([, patterns]) => patterns.some((pattern) => matching(paths, pattern).length > 0));
    if (kept.length > 0) return { splits: new Map(kept), isUnsplit: false };
  }
  return { splits: new Map([['train', ['**']]]), isUnsplit: true };
}
