/** Where what a run's recipe names is today: paths are those of the folder in which the run began. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type Message, messageText, UserError } from '../errors.js';
import { parseRepositoryName, type RepositoryName, repositoryText } from '../hub/index.js';
import { textHere } from '../recipe/index.js';
import type { RunText } from '../runs/index.js';
import { publishedSet } from './published.js';
import { parseSourceName } from './source-name.js';
import { isLocalSource } from './sources.js';

type Run = Pick<RunText, 'run' | 'info'>;

/**
 * A model that the recipe of a run names by `key`: a folder here, or one on the Hub at the commit that the run had.
 * Errors: UserError for one that is neither, which ends in `remedy`.
 */
export function modelOfRun(
  run: Run,
  key: 'model' | 'reference.model' | 'adapter.resumeFrom',
  name: string,
  remedy: Message,
): string {
  const here = textHere(key, name);
  if (existsSync(here)) return here;
  return atCommit(run, parseRepositoryName(here, 'model')) ?? missing(run, key, name, remedy);
}

/** A source of rows that the recipe of a run names by `key`, as {@link modelOfRun}. */
export function sourceOfRun(run: Run, key: 'data.train' | 'data.validation', name: string, remedy: Message): string {
  const here = textHere(key, name);
  if (isLocalSource(here)) return here;
  const parsed = parseSourceName(here);
  const set = parsed.kind === 'set' ? atCommit(run, publishedName(parsed.repository)) : undefined;
  const selection = parsed.selection === undefined ? '' : `:${parsed.selection}`;
  return set === undefined ? missing(run, key, name, remedy) : `${set}${selection}`;
}

/** The name of a published set as it is asked for, where letter case does not count. */
const publishedName = (name: RepositoryName) => ({ ...name, id: publishedSet(name.id)?.id ?? name.id });

/**
 * What the run downloaded; a path that is not here may look like a name on the Hub, and must not be asked for there.
 */
export function atCommit({ info: { commits = {} } }: Run, name: RepositoryName | undefined): string | undefined {
  const commit = name && commits[repositoryText(name)];
  return commit && repositoryText({ ...name, revision: commit });
}

function missing({ run }: Run, key: string, name: string, remedy: Message): never {
  throw new UserError(
    (option) =>
      `${key} of ${join(run, 'run.json')} names ${name}, which is not there; paths are taken from the current folder, ${process.cwd()}: ${messageText(remedy, option)}`,
  );
}
