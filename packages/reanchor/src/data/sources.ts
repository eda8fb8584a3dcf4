/** Where rows come from: files, folders of files, and data sets by name, from a local copy or from the Hub. */
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../errors.js';
import { type RawRecord, readRecords } from '../formats/index.js';
import { datasetFiles, type HubOptions, parseRepositoryName } from '../hub/index.js';
import { pathsBelow } from './paths-below.js';
import { countProblem, type Published, publishedSet, type Split } from './published.js';
import { type PreferenceCounts, uniquelyPreferred } from './uniquely-preferred.js';

/** Rows of one name. */
export class Source {
  /** Records read of its files. */
  #found = 0;
  #counts: PreferenceCounts | undefined;

  constructor(
    readonly name: string,
    /** In the order in which they are read. */
    readonly files: readonly string[],
    private readonly origin?: { set: Published; part: string | undefined; split: Split },
  ) {}

  /** Whether it holds texts to imitate, and no pairs. */
  get isSft(): boolean {
    return this.origin?.part === 'sft';
  }

  /** Its records in order. Errors: those of `readRecords`. */
  async *records(): AsyncGenerator<RawRecord> {
    this.#found = 0;
    yield* this.isSft
      ? uniquelyPreferred(
          () => sourceRecords(this.files),
          (counts) => {
            this.#counts = counts;
          },
        )
      : this.#counted();
  }

  /** What is wrong with the number of rows, once all have been read; undefined where nothing is, or none is known. */
  countProblem(): string | undefined {
    if (!this.origin) return undefined;
    const { set, split } = this.origin;
    const { rows } = set.splits[split];
    const problem = rows && countProblem(this.#counts?.comparisons ?? this.#found, rows);
    return problem && `${this.name}, ${split} split: ${problem}`;
  }

  /** What a run has to say of the rows, when `kept` of them are used. */
  note(kept: number): string | undefined {
    if (!this.origin) return undefined;
    const { set, part, split } = this.origin;
    const why = part === undefined ? set.splits[split].note : set.parts?.[part]?.[split];
    if (why === undefined) return undefined;
    const number = (value: number) => value.toLocaleString('en-US');
    const read = this.#counts
      ? `${number(this.#counts.kept)} of the ${number(this.#counts.preferred)} different preferred summaries in ${number(this.#counts.comparisons)} comparisons`
      : `${number(this.#found)} rows`;
    return `${this.name}, ${split} split: ${read} were read, ${number(kept)} rows are used: ${why}`;
  }

  async *#counted(): AsyncGenerator<RawRecord> {
    for await (const record of sourceRecords(this.files)) {
      this.#found++;
      yield record;
    }
  }
}

/**
 * The rows that names stand for: a file; a folder, all data files below it in the order of their names; else a data set
 * `owner/name`, `owner/name@revision` or, of a published one with parts, `owner/name:part`: the files of its split in a
 * folder of its name below REANCHOR_SOURCES, or on the Hub. Errors: UserError for a name that is none of these, a split
 * that has no files, and those of a download.
 */
export async function resolveSources(
  names: readonly string[],
  split: Split,
  options: HubOptions = {},
): Promise<Source[]> {
  const sources: Source[] = [];
  for (const name of names) sources.push(await resolveSource(name, split, options));
  return sources;
}

async function resolveSource(name: string, split: Split, options: HubOptions): Promise<Source> {
  if (existsSync(name)) return new Source(name, statSync(name).isDirectory() ? filesBelow(name) : [name]);
  const [, id = name, part, revision = ''] = /^([^:@]+)(?::([^@]*))?(@.*)?$/s.exec(name) ?? [];
  const set = publishedSet(id);
  const repository = parseRepositoryName(`${set?.id ?? id}${revision}`, 'dataset');
  // A path; reading it says what is wrong with it.
  if (!repository) return new Source(name, [name]);
  if (part !== undefined && !Object.hasOwn(set?.parts ?? {}, part)) {
    const parts = Object.keys(set?.parts ?? {}).join(', ');
    throw new UserError(`${name}: ${id} has no part ${JSON.stringify(part)}${parts && `; it has ${parts}`}`);
  }
  const choose = (paths: readonly string[]) => {
    const dataPaths = paths.filter((path) => isDataFile(path) && !isDescription(path)).sort();
    const chosen = set ? dataPaths.filter((path) => set.splits[split].files.test(path)) : splitFiles(dataPaths, split);
    if (chosen.length === 0) {
      throw new UserError(
        `${repository.id}: no file is one of its ${split} split; its data files: ${listed(dataPaths)}`,
      );
    }
    requireAllShards(repository.id, chosen);
    return chosen;
  };
  const local = localCopy(name);
  const files =
    local !== undefined
      ? choose(pathsBelow(local)).map((path) => join(local, path))
      : await datasetFiles(repository, choose, options);
  return new Source(name, files, set && { set, part, split });
}

/** Whether the rows of a name are here, so that nothing has to be downloaded for them. */
export function isLocalSource(name: string): boolean {
  return existsSync(name) || localCopy(name) !== undefined;
}

/** The rows that a split of a published data set has, where their number is known exactly. */
export function publishedRows(name: string, split: Split): number | undefined {
  const rows = publishedSet(name)?.splits[split].rows;
  return rows && 'exactly' in rows ? rows.exactly : undefined;
}

/** The folder of a data set below REANCHOR_SOURCES. */
function localCopy(name: string): string | undefined {
  const [, id = name, , revision = ''] = /^([^:@]+)(?::([^@]*))?(@.*)?$/s.exec(name) ?? [];
  const root = process.env.REANCHOR_SOURCES;
  if (!root || revision !== '') return undefined;
  const folder = join(root, publishedSet(id)?.id ?? id);
  return existsSync(folder) ? folder : undefined;
}

/** The records of files of any supported form, one file after the other. Errors: those of `readRecords`. */
export async function* sourceRecords(files: readonly string[]): AsyncGenerator<RawRecord> {
  for (const file of files) yield* readRecords(file);
}

const keywords = {
  train: ['train', 'training'],
  validation: ['validation', 'valid', 'dev', 'val'],
  test: ['test', 'testing', 'eval', 'evaluation'],
};

/**
 * The files of a split by their names, in the manner of Python's `datasets`: a name of the split as a word in the path.
 * Where no path has one of any split, all files are the training split; where none is for validation, those for testing
 * are.
 */
function splitFiles(paths: readonly string[], split: Split): string[] {
  const of = (names: readonly string[]) => {
    const word = new RegExp(`(^|[-._ 0-9/])(${names.join('|')})([-._ 0-9/]|$)`, 'i');
    return paths.filter((path) => word.test(path));
  };
  if (split === 'train') return of(Object.values(keywords).flat()).length === 0 ? [...paths] : of(keywords.train);
  const validation = of(keywords.validation);
  return validation.length > 0 ? validation : of(keywords.test);
}

/** Files named `...-00000-of-00003...` have to be there in full number. */
function requireAllShards(id: string, paths: readonly string[]): void {
  const shards = new Map<string, { found: number; total: number }>();
  for (const path of paths) {
    const [, stem, total] = /^(.*)-\d{5}-of-(\d{5})/.exec(path) ?? [];
    if (stem === undefined) continue;
    const name = `${stem}-*-of-${total}`;
    shards.set(name, { found: (shards.get(name)?.found ?? 0) + 1, total: Number(total) });
  }
  for (const [name, { found, total }] of shards) {
    if (found === total) continue;
    throw new UserError(`${id}: ${found} of the ${total} files ${name} are there: fetch the others too`);
  }
}

const listed = (paths: readonly string[]) =>
  paths.length === 0
    ? 'none (JSONL, JSON and Parquet are read)'
    : `${paths.slice(0, 8).join(', ')}${paths.length > 8 ? ', ...' : ''}`;

const isDataFile = (path: string) => /\.(jsonl|json|parquet)(\.gz)?$/i.test(path);

/** JSON files in repositories of data sets that describe the others. */
const isDescription = (path: string) => /(^|\/)(dataset_infos?|dataset_dict|config|state)\.json$/.test(path);

function filesBelow(folder: string): string[] {
  const files = pathsBelow(folder)
    .filter(isDataFile)
    .map((name) => join(folder, name));
  if (files.length === 0) throw new UserError(`${folder} holds no data file: JSONL, JSON and Parquet are read`);
  return files;
}
