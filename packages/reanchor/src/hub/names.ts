/** Names of repositories on the Hub, and which names of files and revisions are safe to make paths of. */
import { UserError } from '../errors.js';

export type RepositoryType = 'model' | 'dataset';

/** A repository at a revision. */
export interface RepositoryName {
  type: RepositoryType;
  /** `owner/name`. */
  id: string;
  /** A branch, a tag or a commit. */
  revision: string;
}

/** One part of an id: letters, digits, `-`, `_` and `.`, neither at its ends. Source: huggingface_hub's validators. */
const part = /^\w(?:[\w.-]*\w)?$/;

/**
 * The repository that `owner/name` or `owner/name@revision` names (the notation of Hugging Face's own `hf://` paths;
 * without revision it is `main`), or undefined for a text that is no such name: a path, or something with `..` in it.
 * Errors: UserError for a revision that cannot be one.
 */
export function parseRepositoryName(text: string, type: RepositoryType): RepositoryName | undefined {
  const at = text.indexOf('@');
  const id = at === -1 ? text : text.slice(0, at);
  const parts = id.split('/');
  const isId = parts.length === 2 && parts.every((one) => part.test(one)) && id.length <= 96;
  if (!isId || /--|\.\.|\.git$/.test(id)) return undefined;
  const revision = at === -1 ? 'main' : text.slice(at + 1);
  if (!isSafePath(revision) || !/^[\w./+-]+$/.test(revision) || revision.length > 255) {
    throw new UserError(
      `${text}: ${JSON.stringify(revision)} is no revision; name a branch, a tag or a commit after the @, such as ${id}@main`,
    );
  }
  return { type, id, revision };
}

/** The name as people write it. */
export const repositoryText = ({ id, revision }: RepositoryName) => (revision === 'main' ? id : `${id}@${revision}`);

export const isCommit = (revision: string) => /^[0-9a-f]{40}$/.test(revision);

/**
 * Whether a relative path stays below the folder that it is joined to, by the rules of POSIX and of Windows. Names in a
 * repository are its owner's choice.
 */
export function isSafePath(path: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they would reach the terminal
  if (path === '' || /[\x00-\x1f\x7f\\]/.test(path)) return false;
  return path.split('/').every((segment) => !['', '.', '..'].includes(segment) && !/^[a-zA-Z]:/.test(segment));
}
