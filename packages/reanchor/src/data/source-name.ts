/** What the names in `data.train` and `data.validation` stand for. */
import { existsSync, statSync } from 'node:fs';
import { UserError } from '../errors.js';
import { parseRepositoryName, type RepositoryName, repositoryText } from '../hub/index.js';

/** A name: of a file or folder here, or of a data set of the Hub. */
export type SourceName = PathName | SetName;

interface PathName {
  kind: 'file' | 'folder';
  path: string;
  /** `SPLIT` or `CONFIGURATION/SPLIT`. */
  selection: string | undefined;
}

export interface SetName {
  kind: 'set';
  repository: RepositoryName;
  /** Whether a revision is named. */
  isRevised: boolean;
  selection: string | undefined;
}

/**
 * Reads `PATH`, `owner/name` and `owner/name@revision`, with `:SPLIT` or `:CONFIGURATION/SPLIT` after a folder or a
 * data set. What is here comes before the Hub; a name that is neither is the path of a file, and reading it says what
 * is wrong with it. Errors: UserError for a split of a file, and for a revision that is none.
 */
export function parseSourceName(name: string): SourceName {
  const here = pathHere(name);
  if (here) return here;
  const [, id = name, before, revision = '', after] = /^([^:@]+)(?::([^@]*))?(@[^:]*)?(?::(.*))?$/s.exec(name) ?? [];
  const repository = parseRepositoryName(`${id}${revision}`, 'dataset');
  return repository
    ? { kind: 'set', repository, isRevised: revision !== '', selection: before ?? after }
    : { kind: 'file', path: name, selection: undefined };
}

/** The file or folder that a name is, with or without what follows its last colon. */
function pathHere(name: string): SourceName | undefined {
  const kind = (path: string) => (statSync(path).isDirectory() ? 'folder' : 'file');
  if (existsSync(name)) return { kind: kind(name), path: name, selection: undefined };
  const colon = name.lastIndexOf(':');
  const path = name.slice(0, colon);
  if (colon < 1 || !existsSync(path)) return undefined;
  if (kind(path) === 'folder') return { kind: 'folder', path, selection: name.slice(colon + 1) };
  throw new UserError(`${name}: ${path} is a file, which has no splits; name it as it is`);
}

/** A name without its split, as people write it; a split goes behind it. */
export const withoutSelection = (name: SourceName) =>
  name.kind === 'set' ? repositoryText(name.repository) : name.path;
