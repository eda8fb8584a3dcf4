/** Where rows come from: files, folders of files, and data sets by name, from a local copy or from the Hub. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../errors.js';
import { type RawRecord, readRecords, readText } from '../formats/index.js';
import { datasetFiles, type FileListing, type HubOptions } from '../hub/index.js';
import { chooseFiles } from './choose-files.js';
import { isReadable, someOf } from './data-file-kinds.js';
import { pathsBelow } from './paths-below.js';
import { countProblem, type Published, publishedSet, type Split } from './published.js';
import { parseSourceName, type SetName, withoutSelection } from './source-name.js';
import { type PreferenceCounts, uniquelyPreferred } from './uniquely-preferred.js';

/** What was found in the files of a source: records, and of comparisons that become texts to imitate more. */
export interface SourceCounts {
  records: number;
  preferences?: PreferenceCounts | undefined;
}

/** Rows of one name. */
export class Source {
  /** What was found in its files, once all of them have been read. */
  counts: SourceCounts = { records: 0 };

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

  /** Its records in order; `onRead` hears how many bytes of its files were read. Errors: those of `readRecords`. */
  async *records(onRead?: (bytes: number) => void): AsyncGenerator<RawRecord> {
    this.counts = { records: 0 };
    yield* this.isSft
      ? uniquelyPreferred(
          () => sourceRecords(this.files, onRead),
          (preferences) => {
            this.counts = { ...this.counts, preferences };
          },
        )
      : this.#counted(onRead);
  }

  /** What is wrong with the number of rows, once all have been read; undefined where nothing is, or none is known. */
  countProblem(): string | undefined {
    if (!this.origin) return undefined;
    const { set, split } = this.origin;
    const { rows } = set.splits[split];
    const problem = rows && countProblem(this.counts.preferences?.comparisons ?? this.counts.records, rows);
    return problem && `${this.name}, ${split} split: ${problem}`;
  }

  /** What a run has to say of the rows, when `kept` of them are used. */
  note(kept: number): string | undefined {
    if (!this.origin) return undefined;
    const { set, part, split } = this.origin;
    const why = part === undefined ? set.splits[split].note : set.parts?.[part]?.[split];
    if (why === undefined) return undefined;
    const number = (value: number) => value.toLocaleString('en-US');
    const { records, preferences } = this.counts;
    const read = preferences
      ? `${number(preferences.kept)} of the ${number(preferences.preferred)} different preferred summaries in ${number(preferences.comparisons)} comparisons`
      : `${number(records)} rows`;
    return `${this.name}, ${split} split: ${read} were read, ${number(kept)} rows are used: ${why}`;
  }

  async *#counted(onRead: ((bytes: number) => void) | undefined): AsyncGenerator<RawRecord> {
    for await (const record of sourceRecords(this.files, onRead)) {
      this.counts = { records: this.counts.records + 1 };
      yield record;
    }
  }
}

/**
 * The rows that names stand for: a file; a folder, or a data set `owner/name` or `owner/name@revision`, of which the
 * split is read that `:SPLIT` or `:CONFIGURATION/SPLIT` after the name says, or else the one that is asked for
 * (`validation` may be `test`). A data set is the folder of its name below REANCHOR_SOURCES, or on the Hub. Errors:
 * UserError for a name that is none of these, for a split that there is not or that has files that are not read, and
 * those of a download.
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
  const parsed = parseSourceName(name);
  if (parsed.kind === 'set') return resolveSet(name, parsed, split, options);
  const { path, selection } = parsed;
  if (parsed.kind === 'file') return new Source(name, [path]);
  const choice = { name: path, selection, split, isOwn: true, onNote: options.onNote };
  return new Source(name, await filesIn(path, (listing) => chooseFiles(listing, choice)));
}

async function resolveSet(name: string, parsed: SetName, split: Split, options: HubOptions): Promise<Source> {
  const { repository, selection } = parsed;
  const set = publishedSet(repository.id);
  const parts = Object.keys(set?.parts ?? {});
  const part = parts.find((one) => one === selection);
  const origin = set && (selection === undefined || part !== undefined) ? { set, part, split } : undefined;
  const choice = { name: withoutSelection(parsed), selection, split, parts, onNote: options.onNote };
  const choose = async (listing: FileListing) => {
    const chosen = origin ? publishedFiles(origin.set, split, listing.paths) : await chooseFiles(listing, choice);
    requireAllShards(choice.name, chosen);
    return chosen;
  };
  const local = localCopy(parsed);
  const files =
    local === undefined
      ? await datasetFiles({ ...repository, id: set?.id ?? repository.id }, choose, options)
      : await filesIn(local, choose);
  return new Source(name, files, origin);
}

/** The files of a folder that are chosen, with the folder in front. */
async function filesIn(
  folder: string,
  choose: (listing: FileListing) => Promise<readonly string[]>,
): Promise<string[]> {
  const chosen = await choose({ paths: pathsBelow(folder), read: (path) => readText(join(folder, path)) });
  return chosen.map((path) => join(folder, path));
}

/** Whether the rows of a name are here, so that nothing has to be downloaded for them. */
export function isLocalSource(name: string): boolean {
  const parsed = parseSourceName(name);
  return parsed.kind === 'set' ? localCopy(parsed) !== undefined : existsSync(parsed.path);
}

/** The rows that a split of a published data set has, where their number is known exactly. */
export function publishedRows(name: string, split: Split): number | undefined {
  const rows = publishedSet(name)?.splits[split].rows;
  return rows && 'exactly' in rows ? rows.exactly : undefined;
}

/** The folder of a data set below REANCHOR_SOURCES, which is of no revision. */
function localCopy({ repository, isRevised }: SetName): string | undefined {
  const root = process.env.REANCHOR_SOURCES;
  if (!root || isRevised) return undefined;
  const folder = join(root, publishedSet(repository.id)?.id ?? repository.id);
  return existsSync(folder) ? folder : undefined;
}

/** The records of files of any supported form, one file after the other. Errors: those of `readRecords`. */
export async function* sourceRecords(
  files: readonly string[],
  onRead?: (bytes: number) => void,
): AsyncGenerator<RawRecord> {
  for (const file of files) yield* readRecords(file, { exactNumbers: true, onRead });
}

/** The files of a published set's split. Errors: UserError where there are none. */
function publishedFiles(set: Published, split: Split, paths: readonly string[]): string[] {
  const chosen = paths.filter((path) => isReadable(path) && set.splits[split].files.test(path)).sort();
  if (chosen.length > 0) return chosen;
  throw new UserError(`${set.id}: no file is one of its ${split} split; its files: ${someOf(paths)}`);
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
